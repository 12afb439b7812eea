#include "tasks/data/delimited.h"

#include <algorithm>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/base/status.h"

namespace shoal::tasks {
namespace {

// Reads CSV records one by one.
class CsvParser {
 public:
  explicit CsvParser(absl::string_view text) : rest_(text) {}

  bool done() const { return rest_.empty(); }
  // The first line of the next record, from 1; after an error, the line of the error.
  uint64_t line() const { return line_; }

  // Fills `fields` with the next record, which is one empty field for an empty line.
  absl::Status Next(std::vector<std::string>* fields) {
    fields->clear();
    do {
      fields->emplace_back();
      SHOAL_RETURN_IF_ERROR(absl::StartsWith(rest_, "\"") ? Quoted(&fields->back()) : Plain(&fields->back()));
    } while (absl::ConsumePrefix(&rest_, ","));
    absl::ConsumePrefix(&rest_, "\r");
    if (rest_.empty()) return absl::OkStatus();
    if (!absl::ConsumePrefix(&rest_, "\n")) {
      return absl::InvalidArgumentError("expected a comma or the end of the line after a closing quote");
    }
    ++line_;
    return absl::OkStatus();
  }

 private:
  absl::Status Plain(std::string* field) {
    const absl::string_view value = rest_.substr(0, rest_.find_first_of(",\n"));
    if (absl::StrContains(value, '"')) {
      return absl::InvalidArgumentError(
          "a field that contains a quote must be in quotes itself, with the inner quote doubled");
    }
    rest_.remove_prefix(value.size());
    const bool ends_line = !absl::StartsWith(rest_, ",");
    *field = std::string(ends_line ? absl::StripSuffix(value, "\r") : value);
    return absl::OkStatus();
  }

  absl::Status Quoted(std::string* field) {
    uint64_t line_ends = 0;
    rest_.remove_prefix(1);
    for (;;) {
      const size_t quote = rest_.find('"');
      if (quote == absl::string_view::npos) {
        return absl::InvalidArgumentError("a quote opened here is never closed");
      }
      const absl::string_view value = rest_.substr(0, quote);
      absl::StrAppend(field, value);
      line_ends += static_cast<uint64_t>(std::count(value.begin(), value.end(), '\n'));
      rest_.remove_prefix(quote + 1);
      if (!absl::ConsumePrefix(&rest_, "\"")) break;
      field->push_back('"');
    }
    line_ += line_ends;
    return absl::OkStatus();
  }

  absl::string_view rest_;
  uint64_t line_ = 1;
};

}  // namespace

absl::string_view WithoutByteOrderMark(absl::string_view text) {
  return absl::StripPrefix(text, "\xEF\xBB\xBF");
}

absl::Status AtLine(const absl::Status& status, const TextFile& file, uint64_t line) {
  if (status.ok()) return status;
  return Annotate(status, line == 0 ? std::string(file.name) : absl::StrCat(file.name, ":", line));
}

absl::Status ForEachLine(const TextFile& file, const LineVisitor& visit) {
  absl::string_view rest = file.text;
  for (uint64_t number = 1; !rest.empty(); ++number) {
    absl::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    absl::ConsumeSuffix(&line, "\r");
    SHOAL_RETURN_IF_ERROR(visit(line, number));
  }
  return absl::OkStatus();
}

absl::Status ForEachTsvRecord(const TextFile& file, const RecordVisitor& visit) {
  return ForEachLine(file, [&](absl::string_view line, uint64_t number) {
    if (line.empty()) return absl::OkStatus();
    const std::vector<absl::string_view> fields = absl::StrSplit(line, '\t');
    return visit(fields, number);
  });
}

absl::Status ForEachCsvRecord(const TextFile& file, const RecordVisitor& visit) {
  CsvParser parser(file.text);
  std::vector<std::string> fields;
  while (!parser.done()) {
    const uint64_t line = parser.line();
    SHOAL_RETURN_IF_ERROR(AtLine(parser.Next(&fields), file, parser.line()));
    if (fields.size() == 1 && fields[0].empty()) continue;
    const std::vector<absl::string_view> views(fields.begin(), fields.end());
    SHOAL_RETURN_IF_ERROR(visit(views, line));
  }
  return absl::OkStatus();
}

}  // namespace shoal::tasks
