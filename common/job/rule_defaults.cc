#include "common/job/rule_defaults.h"

#include <utility>

#include "absl/strings/str_split.h"
#include "common/job/job_rules.h"
#include "common/job/job_scalar.h"

namespace shoal {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

constexpr int kNoWord = -1;

template <typename Word>
const Message& RuleOfWord(int word) {
  return RuleOf(static_cast<Word>(word));
}

bool NeedsDefault(const Message& message, const FieldDescriptor* field) {
  const FieldDescriptor* rival = field->containing_type()->FindFieldByName(RuleOf(field).without());
  return !IsSet(message, field) && Applies(message, field) && (rival == nullptr || !IsSet(message, rival));
}

// A field that is not a list gets the first of several values.
void Set(const std::vector<std::string>& values, const FieldDescriptor* field, Message* message) {
  for (const std::string& value : values) {
    if (IsSet(*message, field) && !field->is_repeated()) return;
    SetScalar({value, false}, message, field).IgnoreError();  // a unit test sets every default
  }
}

// Fills in what `rule`, of this kind, has for fields of `message` and of its groups.
void FillFrom(const RuleKind& kind, const Message& rule, Message* message) {
  for (int i = 0; i < message->GetDescriptor()->field_count(); ++i) {
    const FieldDescriptor* field = message->GetDescriptor()->field(i);
    if (IsGroup(field)) {
      if (IsSet(*message, field))
        FillFrom(kind, rule, message->GetReflection()->MutableMessage(message, field));
      continue;
    }
    const std::optional<DefaultSource> source = DefaultSourceOf(field);
    if (source && source->kind == &kind && NeedsDefault(*message, field))
      Set(ValuesIn(rule, source->field), field, message);
  }
}

}  // namespace

absl::Span<const RuleKind> RuleKinds() {
  static const RuleKind kKinds[] = {
      {"task_rule", "", TaskType_descriptor(), RuleOfWord<TaskType>,
       [](const JobSpec& job) -> int { return job.task(); }},
      {"format_rule", "format", DataFormat_descriptor(), RuleOfWord<DataFormat>,
       [](const JobSpec& job) -> int {
         return job.data().has_format() ? static_cast<int>(job.data().format()) : kNoWord;
       }},
      {"family_rule", "family", ModelFamily_descriptor(), RuleOfWord<ModelFamily>,
       [](const JobSpec& job) -> int { return job.model().family(); }},
  };
  return kKinds;
}

std::optional<DefaultSource> DefaultSourceOf(const FieldDescriptor* field) {
  const std::pair<std::string, std::string> path = absl::StrSplit(RuleOf(field).default_of(), '.');
  for (const RuleKind& kind : RuleKinds()) {
    if (kind.name == path.first)
      return DefaultSource{&kind, kind.rule_of(0).GetDescriptor()->FindFieldByName(path.second)};
  }
  return std::nullopt;
}

std::vector<std::string> ValuesIn(const Message& rule, const FieldDescriptor* field) {
  std::vector<std::string> values;
  if (!field->is_repeated()) values.push_back(FormatScalar(rule, field));
  for (int i = 0; field->is_repeated() && i < rule.GetReflection()->FieldSize(rule, field); ++i)
    values.push_back(FormatScalar(rule, field, i));
  if (values == std::vector<std::string>{""}) values.clear();  // a string that is not set
  return values;
}

void FillRuleDefaults(JobSpec* job) {
  for (const RuleKind& kind : RuleKinds()) FillFrom(kind, kind.rule_of(kind.chosen(*job)), job);
}

}  // namespace shoal
