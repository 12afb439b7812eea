#include "tasks/data/semeval.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/string_view.h"
#include "common/base/status.h"
#include "tasks/data/record.h"

namespace shoal::tasks {
namespace {

// Reads blocks, line by line.
class BlockReader {
 public:
  explicit BlockReader(const AddRecord& add) : add_(add) {}

  absl::Status Add(absl::string_view line, uint64_t number) {
    line = absl::StripAsciiWhitespace(line);
    if (line.empty()) return Finish();
    if (lines_++ == 0) {
      first_ = number;
      record_ = ReadSentence(line);
    } else if (lines_ == 2 && record_.ok()) {
      record_->labels = {std::string(line)};
    } else if (lines_ > 2 && StartsBlock(line)) {
      return add_(absl::InvalidArgumentError("expected an empty line before the next sentence"), number);
    }
    return absl::OkStatus();
  }

  // At the end of a block, and of the file.
  absl::Status Finish() {
    if (lines_ == 0) return absl::OkStatus();
    const bool labelled = std::exchange(lines_, 0) > 1;
    absl::StatusOr<Record> record = std::exchange(record_, Record());
    if (record.ok() && !labelled)
      record = absl::InvalidArgumentError("expected the relation on the line after the sentence");
    return add_(std::move(record), first_);
  }

 private:
  // A number and a tab.
  static bool StartsBlock(absl::string_view line) {
    const size_t tab = line.find('\t');
    return tab != absl::string_view::npos && tab > 0 &&
           std::all_of(line.begin(), line.begin() + static_cast<int64_t>(tab), absl::ascii_isdigit);
  }

  static absl::StatusOr<Record> ReadSentence(absl::string_view line) {
    const size_t tab = line.find('\t');
    if (tab == absl::string_view::npos)
      return absl::InvalidArgumentError("expected a number, a tab and a sentence in quotes");
    absl::string_view text = absl::StripAsciiWhitespace(line.substr(tab + 1));
    if (text.size() >= 2 && text.front() == '"' && text.back() == '"') text = text.substr(1, text.size() - 2);
    if (text.empty()) return absl::InvalidArgumentError("the sentence is empty");
    Record record;
    record.id = std::string(line.substr(0, tab));
    record.texts = {std::string(text)};
    return record;
  }

  const AddRecord& add_;
  absl::StatusOr<Record> record_ = Record();
  uint64_t first_ = 0;  // line of the block
  int lines_ = 0;       // of the block so far
};

}  // namespace

absl::Status ReadSemeval(const TextFile& file, const DataSpec&, const LabelReader&, const AddRecord& add) {
  BlockReader reader(add);
  SHOAL_RETURN_IF_ERROR(
      ForEachLine(file, [&](absl::string_view line, uint64_t number) { return reader.Add(line, number); }));
  return reader.Finish();
}

}  // namespace shoal::tasks
