#include "common/job/job_reference.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "common/job/job_rules.h"
#include "common/job/job_scalar.h"

namespace shoal {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::EnumDescriptor;
using google::protobuf::EnumValueDescriptor;
using google::protobuf::FieldDescriptor;

constexpr char kIntroduction[] = R"(# The job file

<!-- Made from proto/job.proto: bazel run //common/job:job_reference > docs/job-file.md -->

A job file is a YAML mapping that describes one training run. `shoal train` and `shoal submit` read it; `configs/jobs` has examples.
The smallest one:

```yaml
name: sections
task: text-classification
data: {files: [sections.tsv], text: [text], label: section}
train: {epochs: 3}
optimizer: {learning_rate: 1e-3}
```

- It is read strictly. Unknown, repeated or missing fields, values of the wrong type and combinations that can't work are errors, reported with
  file, line, field, what was expected and the nearest valid name. Up to ten mistakes are reported at once.
- `--set key.path=value` changes a field from the command line, as often as needed: `--set train.slots=4 --set 'evaluation.every=1 epoch'`.
- Paths are relative to the job file's folder; in `--set`, to the working directory.
- A list of one may be written without brackets.
- An **interval** is a number with its unit, or `never`: `200 rounds`, `1 epoch`, `0.5 epochs`. What happens at an interval happens at its multiples and
  at the end of the training. A round is one update of the parameters; an epoch is one pass over the training examples.
- The job, its data and its seed determine every bit of the result; the numbers of workers, servers and threads don't affect it.
)";

std::string TypeText(const FieldDescriptor* field) {
  if (field->is_repeated()) return RuleOf(field).path() ? "list of paths" : "list of strings";
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_ENUM:
      return "word";
    case FieldDescriptor::CPPTYPE_STRING:
      return RuleOf(field).path() ? "path" : "string";
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return "number";
    case FieldDescriptor::CPPTYPE_BOOL:
      return "true, false";
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return "interval";
    default:
      return "whole number";
  }
}

std::string DefaultText(const FieldRule& rule) {
  if (rule.required()) return "**required**";
  if (!rule.default_().empty()) return absl::StrCat("`", rule.default_(), "`");
  return rule.default_help();
}

std::string MeaningText(const FieldRule& rule) {
  std::vector<std::string> parts = {rule.help()};
  if (!rule.only_with().empty()) {
    const std::string condition = absl::StrReplaceAll(rule.only_with(), {{"=", " "}, {"|", " or "}});
    parts.push_back(absl::StrCat("Only with ", condition, "."));
  }
  if (!rule.unsupported().empty()) parts.push_back(absl::StrCat("*", rule.unsupported(), "*"));
  if (!rule.example().empty()) parts.push_back(absl::StrCat("Example: `", rule.example(), "`"));
  return absl::StrJoin(parts, " ");
}

std::string Row(const FieldDescriptor* field) {
  const FieldRule& rule = RuleOf(field);
  const bool limited = rule.positive() || rule.min() > 0 || rule.max() > 0;
  const std::string range = limited ? RangeText(rule) : "";
  return absl::StrCat("| `", field->name(), "` | ", TypeText(field), range.empty() ? "" : ", ", range, " | ",
                      DefaultText(rule), " | ", MeaningText(rule), " |\n");
}

// The list of a field's words; "" when they have no explanations.
std::string WordList(const FieldDescriptor* field) {
  std::string list;
  for (int i = 0; i < field->enum_type()->value_count(); ++i) {
    const EnumValueDescriptor* value = field->enum_type()->value(i);
    const WordRule& rule = RuleOf(value);
    if (rule.help().empty()) continue;
    absl::StrAppend(&list, "- `", WordOf(value), "`: ", rule.help(),
                    rule.unsupported().empty() ? "" : " (not in this version)", "\n");
  }
  return list.empty() ? "" : absl::StrCat("\n`", field->name(), "`:\n", list);
}

void AppendGroup(const Descriptor* group, const std::string& path, std::string* out) {
  std::string rows, words;
  for (int i = 0; i < group->field_count(); ++i) {
    const FieldDescriptor* field = group->field(i);
    if (!IsGroup(field)) rows += Row(field);
    if (field->cpp_type() == FieldDescriptor::CPPTYPE_ENUM) words += WordList(field);
  }
  absl::StrAppend(out, "\n| field | type | default | meaning |\n|---|---|---|---|\n", rows, words);
  for (int i = 0; i < group->field_count(); ++i) {
    const FieldDescriptor* field = group->field(i);
    if (!IsGroup(field)) continue;
    const std::string inner = FieldPath(path, field->name());
    const std::string& when = RuleOf(field).default_help();
    absl::StrAppend(out, "\n## `", inner, "`\n", RuleOf(field).help(), when.empty() ? "" : " Default: ", when,
                    when.empty() ? "" : ".", "\n");
    AppendGroup(field->message_type(), inner, out);
  }
}

}  // namespace

std::string JobReference() {
  std::string text = kIntroduction;
  AppendGroup(JobSpec::descriptor(), "", &text);
  return text;
}

}  // namespace shoal
