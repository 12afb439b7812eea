#include "tasks/data/lines.h"

#include <algorithm>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "common/storage/file.h"

namespace shoal::tasks {
namespace {

using Parts = std::vector<std::string>;

Parts PartsOf(const std::string& path) { return absl::StrSplit(BaseName(path), '.'); }

// The names of all files, each once.
std::set<Parts> NamesOf(const DataSpec& data) {
  std::set<Parts> names;
  for (const auto* files : {&data.files(), &data.train_files(), &data.validation_files(), &data.test_files(),
                            &data.replay().files()}) {
    for (const std::string& path : *files) names.insert(PartsOf(path));
  }
  return names;
}

}  // namespace

std::string LabelOfFile(absl::string_view path, const DataSpec& data) {
  const std::set<Parts> names = NamesOf(data);
  Parts parts = PartsOf(std::string(path));
  if (names.size() < 2) {
    if (parts.size() > 1) parts.pop_back();
    return absl::StrJoin(parts, ".");
  }
  const auto is_shared = [&](const std::string& part) {
    return std::all_of(names.begin(), names.end(), [&](const Parts& name) {
      return std::find(name.begin(), name.end(), part) != name.end();
    });
  };
  parts.erase(std::remove_if(parts.begin(), parts.end(), is_shared), parts.end());
  return absl::StrJoin(parts, ".");
}

absl::Status ReadLines(const TextFile& file, const DataSpec& data, const LabelReader&, const AddRecord& add) {
  const std::string label = LabelOfFile(file.name, data);
  if (label.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(file.name, ": the file's name has nothing that the other files' names lack: no label"));
  }
  return ForEachLine(file, [&](absl::string_view line, uint64_t number) {
    const absl::string_view text = absl::StripAsciiWhitespace(line);
    if (text.empty()) return absl::OkStatus();
    Record record;
    record.texts = {std::string(text)};
    record.labels = {label};
    return add(std::move(record), number);
  });
}

}  // namespace shoal::tasks
