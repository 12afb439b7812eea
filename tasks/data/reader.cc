#include "tasks/data/reader.h"

#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "common/base/status.h"
#include "common/base/utf8.h"
#include "tasks/data/delimited.h"
#include "tasks/data/record.h"

namespace shoal::tasks {
namespace {

constexpr absl::string_view kByteOrderMark = "\xEF\xBB\xBF";

absl::Status CheckUtf8(const TextFile& file) {
  if (IsValidUtf8(file.text)) return absl::OkStatus();
  return ForEachLine(file, [](absl::string_view line, uint64_t) {
    if (IsValidUtf8(line)) return absl::OkStatus();
    return absl::InvalidArgumentError(
        "the line is not valid UTF-8; convert the file (for example with iconv)");
  });
}

// Appends the examples of file after file.
class Reader {
 public:
  Reader(const DataSpec& data, const LabelReader& labels) : data_(data), labels_(labels) {}

  absl::Status Read(const TextFile& file) {
    set_.files.push_back(file.name);
    const size_t before = set_.examples.size();
    SHOAL_RETURN_IF_ERROR(CheckUtf8(file));
    SHOAL_RETURN_IF_ERROR(ReadRecords(file));
    if (set_.examples.size() > before) return absl::OkStatus();
    return absl::InvalidArgumentError(absl::StrCat(file.name, ": the file has no examples"));
  }

  ExampleSet Take() && { return std::move(set_); }

 private:
  absl::Status ReadRecords(const TextFile& file) {
    switch (data_.format()) {
      case DATA_FORMAT_TEXT:
        return ReadText(file);
      case DATA_FORMAT_JSONL:
        return ReadJsonLines(file);
      default:
        return ReadDelimited(file);
    }
  }

  absl::Status ReadText(const TextFile& file) {
    if (file.text.empty()) return absl::OkStatus();
    Example example;
    example.text = std::string(file.text);
    example.file = static_cast<uint32_t>(set_.files.size() - 1);
    example.line = 1;
    set_.examples.push_back(std::move(example));
    return absl::OkStatus();
  }

  absl::Status ReadJsonLines(const TextFile& file) {
    return ForEachLine(file, [&](absl::string_view line, uint64_t number) {
      return Add(RecordFromJson(line, data_, labels_), number);
    });
  }

  absl::Status ReadDelimited(const TextFile& file) {
    std::optional<ColumnIndexes> columns;
    const auto visit = [&](absl::Span<const absl::string_view> fields, uint64_t line) -> absl::Status {
      if (columns.has_value()) return Add(RecordFromFields(fields, *columns, data_, labels_), line);
      SHOAL_ASSIGN_OR_RETURN(columns, FindColumns(fields, data_));
      return absl::OkStatus();
    };
    return data_.format() == DATA_FORMAT_CSV ? ForEachCsvRecord(file, visit) : ForEachTsvRecord(file, visit);
  }

  absl::Status Add(absl::StatusOr<Record> record, uint64_t line) {
    SHOAL_RETURN_IF_ERROR(record.status());
    Example example;
    example.text = absl::StrJoin(record->texts, " ");
    SHOAL_RETURN_IF_ERROR(labels_.ReadLabels(std::move(record->labels), &example));
    example.group = std::move(record->group);
    example.file = static_cast<uint32_t>(set_.files.size() - 1);
    example.line = line;
    set_.examples.push_back(std::move(example));
    return absl::OkStatus();
  }

  const DataSpec& data_;
  const LabelReader& labels_;
  ExampleSet set_;
};

}  // namespace

absl::StatusOr<ExampleSet> ReadExamples(Env* env,
                                        const google::protobuf::RepeatedPtrField<std::string>& files,
                                        const DataSpec& data, const LabelReader& labels) {
  Reader reader(data, labels);
  for (const std::string& path : files) {
    SHOAL_ASSIGN_OR_RETURN(const std::string bytes, env->ReadFile(path));
    SHOAL_RETURN_IF_ERROR(reader.Read({path, absl::StripPrefix(bytes, kByteOrderMark)}));
  }
  return std::move(reader).Take();
}

}  // namespace shoal::tasks
