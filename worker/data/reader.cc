#include "worker/data/reader.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <set>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "common/base/status.h"
#include "common/base/utf8.h"
#include "worker/data/delimited.h"
#include "worker/data/record.h"

namespace shoal::worker {
namespace {

constexpr absl::string_view kByteOrderMark = "\xEF\xBB\xBF";

// Checks the labels and gives them the form that the task wants.
absl::Status SetLabels(TaskType task, std::vector<std::string> labels, Example* example) {
  if (task == TASK_MULTILABEL_CLASSIFICATION) {
    std::set<std::string> distinct(labels.begin(), labels.end());
    distinct.erase("");
    example->labels.assign(distinct.begin(), distinct.end());
    return absl::OkStatus();
  }
  if (labels[0].empty()) return absl::InvalidArgumentError("the label (data.label) is empty");
  if (task == TASK_TEXT_REGRESSION &&
      (!absl::SimpleAtod(labels[0], &example->target) || !std::isfinite(example->target))) {
    return absl::InvalidArgumentError(
        absl::StrCat("the label (data.label): expected a number for text-regression, got '", labels[0], "'"));
  }
  example->labels = std::move(labels);
  return absl::OkStatus();
}

absl::Status CheckUtf8(const TextFile& file) {
  if (IsValidUtf8(file.text)) return absl::OkStatus();
  return ForEachLine(file, [](absl::string_view line, uint64_t) {
    if (IsValidUtf8(line)) return absl::OkStatus();
    return absl::InvalidArgumentError("expected UTF-8, got other bytes; convert the file (iconv)");
  });
}

// Appends the examples of one file after the other.
class Reader {
 public:
  explicit Reader(const JobSpec& job) : job_(job) {}

  absl::Status Read(const TextFile& file) {
    set_.files.push_back(file.name);
    const size_t before = set_.examples.size();
    SHOAL_RETURN_IF_ERROR(CheckUtf8(file));
    SHOAL_RETURN_IF_ERROR(ReadRecords(file));
    if (set_.examples.size() > before) return absl::OkStatus();
    return absl::InvalidArgumentError(absl::StrCat(file.name, ": there are no examples in it"));
  }

  ExampleSet Take() && { return std::move(set_); }

 private:
  absl::Status ReadRecords(const TextFile& file) {
    switch (job_.data().format()) {
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
      return Add(RecordFromJson(line, job_), number);
    });
  }

  absl::Status ReadDelimited(const TextFile& file) {
    std::optional<ColumnIndexes> columns;
    const auto visit = [&](absl::Span<const absl::string_view> fields, uint64_t line) -> absl::Status {
      if (columns.has_value()) return Add(RecordFromFields(fields, *columns, job_), line);
      SHOAL_ASSIGN_OR_RETURN(columns, FindColumns(fields, job_.data()));
      return absl::OkStatus();
    };
    return job_.data().format() == DATA_FORMAT_CSV ? ForEachCsvRecord(file, visit)
                                                   : ForEachTsvRecord(file, visit);
  }

  absl::Status Add(absl::StatusOr<Record> record, uint64_t line) {
    SHOAL_RETURN_IF_ERROR(record.status());
    Example example;
    example.text = absl::StrJoin(record->texts, " ");
    SHOAL_RETURN_IF_ERROR(SetLabels(job_.task(), std::move(record->labels), &example));
    example.group = std::move(record->group);
    example.file = static_cast<uint32_t>(set_.files.size() - 1);
    example.line = line;
    set_.examples.push_back(std::move(example));
    return absl::OkStatus();
  }

  const JobSpec& job_;
  ExampleSet set_;
};

}  // namespace

std::string ExampleSet::Origin(const Example& example) const {
  return absl::StrCat(files[example.file], ":", example.line);
}

absl::StatusOr<ExampleSet> ReadExamples(Env* env,
                                        const google::protobuf::RepeatedPtrField<std::string>& files,
                                        const JobSpec& job) {
  Reader reader(job);
  for (const std::string& path : files) {
    SHOAL_ASSIGN_OR_RETURN(const std::string bytes, env->ReadFile(path));
    SHOAL_RETURN_IF_ERROR(reader.Read({path, absl::StripPrefix(bytes, kByteOrderMark)}));
  }
  return std::move(reader).Take();
}

}  // namespace shoal::worker
