// A data file of any bytes, in the format that the first byte chooses, read for each task that takes the
// format. Asserted: examples have the labels that the task needs, which become its targets, and
// line numbers within the file, there are no more than the file can hold, and what CSV reads is read back
// from its quoted form.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "common/base/status.h"
#include "common/job/job_rules.h"
#include "common/job/job_spec.h"
#include "tasks/data/delimited.h"
#include "tasks/data/format.h"
#include "tasks/data/reader.h"
#include "tasks/data/split.h"
#include "tasks/registry.h"
#include "tests/fuzz/memory_files.h"

namespace shoal::tasks {
namespace {

constexpr char kPath[] = "data";
// Of the first byte: whether examples have a group; the rest chooses the format.
constexpr uint8_t kGrouped = 0x80;

using Records = std::vector<std::vector<std::string>>;

bool Takes(const Task& task, DataFormat format) {
  const auto& formats = RuleOf(task.type()).formats();
  return std::find(formats.begin(), formats.end(), format) != formats.end();
}

JobSpec Spec(DataFormat format, const Task& task, bool grouped) {
  JobSpec spec;
  spec.set_name("fuzz");
  spec.mutable_data()->add_files(kPath);
  spec.mutable_data()->set_format(format);
  spec.set_task(task.type());
  if (FormatOf(format).records == RecordKind::kColumns && RuleOf(format).text().empty()) {
    spec.mutable_data()->add_text("text");
    spec.mutable_data()->set_label("label");
    if (grouped) spec.mutable_data()->set_group("group");
    if (grouped && RuleOf(task.type()).takes_pairs()) spec.mutable_data()->add_pair("pair");
  }
  CompleteJob(&spec);
  return spec;
}

void CheckLabels(const Example& example, const Task& task) {
  const std::vector<std::string>& labels = example.labels;
  // Answers may be any number.
  if (RuleOf(task.type()).unlabelled() || task.target_kind() == TargetKind::kSpan) return;
  if (!task.reads_lists()) SHOAL_CHECK(labels.size() == 1 && !labels[0].empty());
  if (task.reads_words()) SHOAL_CHECK(labels.size() == example.words.size() && !labels.empty());
  // A set: each label once.
  if (task.reads_lists() && task.target_kind() == TargetKind::kNumbers)
    SHOAL_CHECK(std::is_sorted(labels.begin(), labels.end()));
}

// Gives every text one token, and every word.
class OneToken final : public TextEncoder {
 public:
  std::vector<uint32_t> Encode(absl::string_view, size_t) const override { return {0}; }
  Encoding EncodePair(absl::string_view, absl::string_view, size_t) const override {
    Encoding encoding;
    encoding.Append(0, 1, {}, TokenSource::kSecond);
    return encoding;
  }
  Encoding EncodeWords(absl::string_view, absl::Span<const TextSpan> words) const override {
    Encoding encoding;
    for (const TextSpan& word : words) encoding.Append(0, 0, word, TokenSource::kFirst);
    return encoding;
  }
  std::string Decode(absl::Span<const uint32_t>) const override { return ""; }
  std::optional<uint32_t> mask_token() const override { return std::nullopt; }
  std::vector<TextSpan> SplitWords(absl::string_view) const override { return {}; }
};

void CheckTargets(const ExampleSet& set, const Task& task, const DataSpec& data) {
  const auto labels = task.LabelsOf(data, set);
  if (!labels.ok()) return;  // too few
  const LabelMap label_map(*labels);
  EncodedPart part;
  for (const Example& example : set.examples)
    SHOAL_CHECK_OK(task.AppendExample(example, OneToken(), 2, label_map, &part));
  SHOAL_CHECK(HasTargets(part, task.target_kind(), labels->size()));
}

// `text` is the file. Questions of SQuAD have ids instead of lines.
void CheckExamples(const ExampleSet& set, const Task& task, const DataSpec& data, const std::string& text) {
  const bool has_lines = data.format() != DATA_FORMAT_SQUAD;
  const auto lines = static_cast<uint64_t>(std::count(text.begin(), text.end(), '\n')) + 1;
  SHOAL_CHECK(!set.examples.empty() && set.examples.size() <= (has_lines ? lines : text.size()));
  for (const Example& example : set.examples) {
    SHOAL_CHECK(has_lines ? example.line >= 1 && example.line <= lines : example.line == 0);
    SHOAL_CHECK(example.file == 0);
    SHOAL_CHECK(std::isfinite(example.target));
    CheckLabels(example, task);
  }
  CheckTargets(set, task, data);
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
  const bool grouped = (data[0] & kGrouped) != 0;
  const DataFormat format = Formats()[(data[0] & ~kGrouped) % Formats().size()].format;
  MemoryFiles files;
  std::string& text = files[kPath];
  text.assign(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (format == DATA_FORMAT_CSV) CheckCsvRoundTrip(text);
  for (const Task* task : Tasks()) {
    if (!Takes(*task, format)) continue;
    const JobSpec spec = Spec(format, *task, grouped);
    const auto set = ReadExamples(&files, spec.data().files(), spec.data(), *task);
    if (set.ok()) CheckExamples(*set, *task, spec.data(), text);
    const auto parts = ReadParts(&files, spec, *task);
    SHOAL_CHECK(set.ok() || !parts.ok());
    if (!parts.ok() || FormatOf(format).records == RecordKind::kOneText) continue;
    size_t examples = 0;
    for (const ExampleSet& part : parts->part) examples += part.examples.size();
    SHOAL_CHECK(examples <= set->examples.size());
  }
  return 0;
}
