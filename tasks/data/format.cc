#include "tasks/data/format.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "common/base/status.h"
#include "tasks/data/conll.h"
#include "tasks/data/lines.h"
#include "tasks/data/semeval.h"
#include "tasks/data/squad.h"

namespace shoal::tasks {
namespace {

absl::Status ReadText(const TextFile& file, const DataSpec&, const LabelReader&, const AddRecord& add) {
  if (file.text.empty()) return absl::OkStatus();
  Record record;
  record.texts = {std::string(file.text)};
  return add(std::move(record), 1);
}

absl::Status ReadJsonLines(const TextFile& file, const DataSpec& data, const LabelReader& labels,
                           const AddRecord& add) {
  return ForEachLine(file, [&](absl::string_view line, uint64_t number) {
    return line.empty() ? absl::OkStatus() : add(RecordFromJson(line, data, labels), number);
  });
}

// The first record names the columns.
class DelimitedReader {
 public:
  DelimitedReader(const DataSpec& data, const LabelReader& labels, const AddRecord& add)
      : data_(data), labels_(labels), add_(add) {}

  absl::Status operator()(absl::Span<const absl::string_view> fields, uint64_t line) {
    if (columns_.has_value()) return add_(RecordFromFields(fields, *columns_, data_, labels_), line);
    absl::StatusOr<ColumnIndexes> found = FindColumns(fields, data_);
    if (!found.ok()) return add_(found.status(), line);
    columns_ = *std::move(found);
    return absl::OkStatus();
  }

 private:
  const DataSpec& data_;
  const LabelReader& labels_;
  const AddRecord& add_;
  std::optional<ColumnIndexes> columns_;
};

absl::Status ReadTsv(const TextFile& file, const DataSpec& data, const LabelReader& labels,
                     const AddRecord& add) {
  return ForEachTsvRecord(file, DelimitedReader(data, labels, add));
}

absl::Status ReadCsv(const TextFile& file, const DataSpec& data, const LabelReader& labels,
                     const AddRecord& add) {
  return ForEachCsvRecord(file, DelimitedReader(data, labels, add));
}

}  // namespace

absl::Span<const FormatInfo> Formats() {
  static constexpr FormatInfo kFormats[] = {
      {DATA_FORMAT_TSV, RecordKind::kColumns, ReadTsv},
      {DATA_FORMAT_CSV, RecordKind::kColumns, ReadCsv},
      {DATA_FORMAT_JSONL, RecordKind::kColumns, ReadJsonLines},
      {DATA_FORMAT_TEXT, RecordKind::kOneText, ReadText},
      {DATA_FORMAT_CONLL, RecordKind::kColumns, ReadConll},
      {DATA_FORMAT_SQUAD, RecordKind::kNamed, ReadSquad},
      {DATA_FORMAT_SEMEVAL, RecordKind::kNamed, ReadSemeval},
      {DATA_FORMAT_LINES, RecordKind::kNamed, ReadLines},
  };
  return kFormats;
}

const FormatInfo& FormatOf(DataFormat format) {
  const auto found = std::find_if(Formats().begin(), Formats().end(),
                                  [&](const FormatInfo& info) { return info.format == format; });
  SHOAL_CHECK(found != Formats().end());
  return *found;
}

}  // namespace shoal::tasks
