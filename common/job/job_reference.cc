#include "common/job/job_reference.h"

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "common/job/job_rules.h"
#include "common/job/job_scalar.h"
#include "common/job/rule_defaults.h"
#include "google/protobuf/descriptor.pb.h"

namespace shoal {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::EnumValueDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

constexpr char kIntroduction[] = R"(# The job file

<!-- Made from proto/job.proto: bazel run //common/job:job_reference > docs/job-file.md -->

A job file is a YAML mapping that describes one training run. `shoal train` and `shoal submit` read
it; `configs/jobs` has examples. The smallest one:

```yaml
name: sections
task: text-classification
data: {files: [sections.tsv], text: [text], label: section}
train: {epochs: 3}
optimizer: {learning_rate: 1e-3}
```

- It is read strictly. Unknown, repeated or missing fields, values of the wrong type and
  combinations that can't work are errors, reported with file, line, field, what was expected and
  the nearest valid name. Up to ten mistakes are reported at once.
- `--set key.path=value` changes a field from the command line, as often as needed:
  `--set train.slots=4 --set 'evaluation.every=1 epoch'`.
- Paths are relative to the job file's folder; in `--set`, to the working directory.
- Values, also those of `--set`, are YAML: a path with ` #`, `[`, `*` or quotes needs quotes of its
  own, `--set 'data.files="data #2.tsv"'`.
- A list of one may be written without brackets.
- An **interval** is a number with its unit, or `never`: `200 rounds`, `1 epoch`, `0.5 epochs`. What
  happens at an interval happens at its multiples and at the end of the training. A round is one
  update of the parameters; an epoch is one pass over the training examples.
- The job, its data and its seed determine every bit of the result; the numbers of workers, servers
  and threads don't affect it.
)";

// The width of prose in pages; tables are not wrapped.
constexpr size_t kColumns = 100;

size_t CountCharacters(absl::string_view text) {
  return std::count_if(text.begin(), text.end(), [](char byte) { return (byte & 0xC0) != 0x80; });
}

// Splits the text at spaces that are not in `code`.
std::vector<std::string> UnbreakableParts(const std::string& text) {
  std::vector<std::string> parts;
  bool in_code = false;
  for (absl::string_view word : absl::StrSplit(text, ' ')) {
    if (in_code) {
      absl::StrAppend(&parts.back(), " ", word);
    } else {
      parts.emplace_back(word);
    }
    if (std::count(word.begin(), word.end(), '`') % 2 == 1) in_code = !in_code;
  }
  return parts;
}

// Breaks the text into lines; all but the first one begin with `indent`.
std::string Wrapped(const std::string& text, absl::string_view indent = "") {
  std::string wrapped;
  size_t column = 0;
  for (const std::string& part : UnbreakableParts(text)) {
    const size_t width = CountCharacters(part);
    if (column > 0 && column + 1 + width > kColumns) {
      absl::StrAppend(&wrapped, "\n", indent, part);
      column = indent.size() + width;
    } else {
      absl::StrAppend(&wrapped, column > 0 ? " " : "", part);
      column += (column > 0 ? 1 : 0) + width;
    }
  }
  return wrapped;
}

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

// What a rule has in `field`, of several values the first; "" when it has none.
std::string FirstOf(const Message& rule, const FieldDescriptor* field) {
  const std::vector<std::string> values = ValuesIn(rule, field);
  if (values.empty()) return "";
  return field->cpp_type() == FieldDescriptor::CPPTYPE_STRING ? absl::StrCat("`", values[0], "`") : values[0];
}

// The words whose rules make a default, by what it is.
std::map<std::string, std::vector<std::string>> WordsByDefault(const DefaultSource& source) {
  std::map<std::string, std::vector<std::string>> words;
  for (int i = 0; i < source.kind->words->value_count(); ++i) {
    const EnumValueDescriptor* word = source.kind->words->value(i);
    const std::string value = FirstOf(source.kind->rule_of(word->number()), source.field);
    if (!value.empty()) words[value].push_back(WordOf(word));
  }
  return words;
}

// "pre with family gpt2 or encoder-ngrams, otherwise post". What most have is told last; when some have
// nothing, there is no "otherwise".
std::string ChosenText(const DefaultSource& source) {
  const auto words = WordsByDefault(source);
  const std::string with = absl::StrCat(" with ", source.kind->noun, source.kind->noun.empty() ? "" : " ");
  size_t told = 0;
  auto most = words.begin();
  for (auto choice = words.begin(); choice != words.end(); ++choice) {
    told += choice->second.size();
    if (choice->second.size() > most->second.size()) most = choice;
  }
  const bool has_rest = told == static_cast<size_t>(source.kind->words->value_count());
  std::vector<std::string> parts;
  for (auto choice = words.begin(); choice != words.end(); ++choice) {
    if (choice != most || !has_rest)
      parts.push_back(absl::StrCat(choice->first, with, absl::StrJoin(choice->second, " or ")));
  }
  if (has_rest) parts.push_back(absl::StrCat("otherwise ", most->first));
  return absl::StrJoin(parts, ", ");
}

std::string DefaultText(const FieldDescriptor* field) {
  const FieldRule& rule = RuleOf(field);
  if (const std::optional<DefaultSource> source = DefaultSourceOf(field)) {
    const std::string without =
        rule.without().empty() ? "" : absl::StrCat("; without `", rule.without(), "`");
    return absl::StrCat(ChosenText(*source), rule.required() ? ", otherwise **required**" : "", without);
  }
  if (rule.required()) return "**required**";
  return rule.default_().empty() ? rule.default_help() : absl::StrCat("`", rule.default_(), "`");
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
                      DefaultText(field), " | ", MeaningText(rule), " |\n");
}

// " (`.tsv`)": what files of a format end in; "" for words that are not formats.
std::string ExtensionsText(const EnumValueDescriptor* word) {
  const auto& extensions = word->options().GetExtension(format_rule).extensions();
  return extensions.empty() ? "" : absl::StrCat(" (`", absl::StrJoin(extensions, "`, `"), "`)");
}

// The list of a field's words; "" when they have no explanations.
std::string WordList(const FieldDescriptor* field) {
  std::string list;
  for (int i = 0; i < field->enum_type()->value_count(); ++i) {
    const EnumValueDescriptor* value = field->enum_type()->value(i);
    const WordRule& rule = RuleOf(value);
    if (rule.help().empty()) continue;
    const std::string item = absl::StrCat("- `", WordOf(value), "`: ", rule.help(), ExtensionsText(value),
                                          rule.unsupported().empty() ? "" : " (not in this version)");
    absl::StrAppend(&list, Wrapped(item, "  "), "\n");
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
    const std::string help =
        absl::StrCat(RuleOf(field).help(), when.empty() ? "" : " Default: ", when, when.empty() ? "" : ".");
    absl::StrAppend(out, "\n## `", inner, "`\n", Wrapped(help), "\n");
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
