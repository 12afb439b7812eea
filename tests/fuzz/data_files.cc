// A data file of any bytes: CSV, TSV, JSON lines or text, chosen by the first byte, read for each task.
// Asserted: examples have the labels that the task needs and line numbers within the file, there are no more
// than the file can hold, and what CSV reads is read back from its quoted form.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "common/base/status.h"
#include "common/job/job_spec.h"
#include "tasks/data/delimited.h"
#include "tasks/data/reader.h"
#include "tasks/data/split.h"
#include "tasks/registry.h"
#include "tests/fuzz/memory_files.h"

namespace shoal::tasks {
namespace {

constexpr char kPath[] = "data";
constexpr DataFormat kFormats[] = {DATA_FORMAT_CSV, DATA_FORMAT_TSV, DATA_FORMAT_JSONL, DATA_FORMAT_TEXT};
constexpr TaskType kTasks[] = {TASK_TEXT_CLASSIFICATION, TASK_MULTILABEL_CLASSIFICATION,
                               TASK_TEXT_REGRESSION};

using Records = std::vector<std::vector<std::string>>;

JobSpec Spec(DataFormat format, TaskType task, bool grouped) {
  JobSpec spec;
  spec.set_name("fuzz");
  spec.mutable_data()->add_files(kPath);
  spec.mutable_data()->set_format(format);
  spec.set_task(format == DATA_FORMAT_TEXT ? TASK_CAUSAL_LANGUAGE_MODELLING : task);
  if (format != DATA_FORMAT_TEXT) {
    spec.mutable_data()->add_text("text");
    spec.mutable_data()->set_label("label");
    if (grouped) spec.mutable_data()->set_group("group");
  }
  CompleteJob(&spec);
  return spec;
}

void CheckExamples(const ExampleSet& set, TaskType task, uint64_t lines) {
  SHOAL_CHECK(!set.examples.empty() && set.examples.size() <= lines);
  for (const Example& example : set.examples) {
    SHOAL_CHECK(example.line >= 1 && example.line <= lines && example.file == 0);
    SHOAL_CHECK(std::isfinite(example.target));
    if (task == TASK_MULTILABEL_CLASSIFICATION) {
      SHOAL_CHECK(std::is_sorted(example.labels.begin(), example.labels.end()));
    } else if (task != TASK_CAUSAL_LANGUAGE_MODELLING) {
      SHOAL_CHECK(example.labels.size() == 1 && !example.labels[0].empty());
    }
  }
}

absl::Status ReadCsv(absl::string_view text, Records* records) {
  return ForEachCsvRecord({kPath, text}, [&](absl::Span<const absl::string_view> fields, uint64_t) {
    records->emplace_back(fields.begin(), fields.end());
    return absl::OkStatus();
  });
}

std::string Quoted(const Records& records) {
  std::string text;
  for (const std::vector<std::string>& record : records) {
    absl::StrAppend(
        &text,
        absl::StrJoin(record, ",",
                      [](std::string* out, const std::string& field) {
                        absl::StrAppend(out, "\"", absl::StrReplaceAll(field, {{"\"", "\"\""}}), "\"");
                      }),
        "\n");
  }
  return text;
}

void CheckCsvRoundTrip(absl::string_view text) {
  Records records, again;
  if (!ReadCsv(text, &records).ok()) return;
  SHOAL_CHECK_OK(ReadCsv(Quoted(records), &again));
  SHOAL_CHECK(again == records);
}

}  // namespace
}  // namespace shoal::tasks

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace shoal;
  using namespace shoal::tasks;
  if (size == 0) return 0;
  const DataFormat format = kFormats[data[0] % 4];
  const bool grouped = (data[0] & 4) != 0;
  MemoryFiles files;
  std::string& text = files[kPath];
  text.assign(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (format == DATA_FORMAT_CSV) CheckCsvRoundTrip(text);
  const auto lines = static_cast<uint64_t>(std::count(text.begin(), text.end(), '\n')) + 1;
  for (TaskType task : kTasks) {
    const JobSpec spec = Spec(format, task, grouped);
    const auto set = ReadExamples(&files, spec.data().files(), spec.data(), TaskOf(spec));
    if (set.ok()) CheckExamples(*set, spec.task(), lines);
    const auto parts = ReadParts(&files, spec, TaskOf(spec));
    SHOAL_CHECK(set.ok() || !parts.ok());
    if (!parts.ok() || format == DATA_FORMAT_TEXT) continue;
    size_t examples = 0;
    for (const ExampleSet& part : parts->part) examples += part.examples.size();
    SHOAL_CHECK(examples <= set->examples.size());
  }
  return 0;
}
