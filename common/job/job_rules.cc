#include "common/job/job_rules.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "common/base/nearest_name.h"
#include "common/base/utf8.h"
#include "common/job/job_scalar.h"
#include "google/protobuf/descriptor.pb.h"

namespace shoal {

using google::protobuf::Descriptor;
using google::protobuf::EnumDescriptor;
using google::protobuf::EnumValueDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

namespace {

// "WIRE_FORMAT_" of the enum WireFormat.
std::string PrefixOf(const EnumDescriptor* words) {
  std::string prefix;
  for (char c : words->name()) {
    if (absl::ascii_isupper(c) && !prefix.empty()) prefix += '_';
    prefix += absl::ascii_toupper(c);
  }
  return prefix + "_";
}

std::vector<const EnumValueDescriptor*> ValuesOf(const EnumDescriptor* words) {
  std::vector<const EnumValueDescriptor*> values;
  for (int i = 0; i < words->value_count(); ++i) values.push_back(words->value(i));
  return values;
}

// More would scroll away the first ones, which often cause the others.
constexpr size_t kMaxProblemsShown = 10;

// only_with, parsed.
struct Condition {
  const FieldDescriptor* sibling;
  std::vector<std::string> words;
};

Condition ConditionOf(const FieldDescriptor* field) {
  const std::pair<std::string, std::string> parts = absl::StrSplit(RuleOf(field).only_with(), '=');
  return {field->containing_type()->FindFieldByName(parts.first), absl::StrSplit(parts.second, '|')};
}

// The rule of an enum's value; of a number without a value, the default.
template <typename Rule, typename Extension>
const Rule& RuleOfNumber(const EnumDescriptor* words, int number, const Extension& extension) {
  const EnumValueDescriptor* value = words->FindValueByNumber(number);
  return value == nullptr ? Rule::default_instance() : value->options().GetExtension(extension);
}

}  // namespace

absl::Status ProblemsToStatus(std::vector<std::string> lines) {
  const size_t count = lines.size();
  if (count > kMaxProblemsShown) {
    lines.resize(kMaxProblemsShown);
    lines.push_back(absl::StrCat("and ", count - kMaxProblemsShown, " more"));
  }
  return absl::InvalidArgumentError(absl::StrJoin(lines, "\n"));
}

const FieldRule& RuleOf(const FieldDescriptor* field) { return field->options().GetExtension(rule); }

const WordRule& RuleOf(const EnumValueDescriptor* value) { return value->options().GetExtension(word); }

const TaskRule& RuleOf(TaskType task) {
  return RuleOfNumber<TaskRule>(TaskType_descriptor(), task, task_rule);
}

const FamilyRule& RuleOf(ModelFamily family) {
  return RuleOfNumber<FamilyRule>(ModelFamily_descriptor(), family, family_rule);
}

const FormatRule& RuleOf(DataFormat format) {
  return RuleOfNumber<FormatRule>(DataFormat_descriptor(), format, format_rule);
}

std::string WordOf(const EnumValueDescriptor* value) {
  const std::string& name = RuleOf(value).name();
  if (!name.empty()) return name;
  const std::string prefix = PrefixOf(value->type());
  return absl::AsciiStrToLower(value->name().substr(std::min(prefix.size(), value->name().size())));
}

std::string WordOf(TaskType task) {
  const EnumValueDescriptor* const value = TaskType_descriptor()->FindValueByNumber(task);
  return value == nullptr ? absl::StrCat(static_cast<int>(task)) : WordOf(value);
}

std::string SupportedWords(const EnumDescriptor* words) {
  std::vector<std::string> supported;
  for (const EnumValueDescriptor* value : ValuesOf(words)) {
    if (RuleOf(value).unsupported().empty()) supported.push_back(WordOf(value));
  }
  return absl::StrJoin(supported, ", ");
}

absl::StatusOr<const EnumValueDescriptor*> FindWord(const EnumDescriptor* words, absl::string_view text) {
  std::vector<std::string> candidates;
  for (const EnumValueDescriptor* value : ValuesOf(words)) {
    candidates.push_back(WordOf(value));
    if (candidates.back() == text) return value;
  }
  const std::string one_of = words->value_count() == 1 ? "" : "one of ";
  return absl::InvalidArgumentError(absl::StrCat("expected ", one_of, SupportedWords(words), ", got '",
                                                 ToQuoted(text), "'", DidYouMean(text, candidates)));
}

std::string RangeText(const FieldRule& rule) {
  const std::string max = FormatDouble(rule.max());
  if (rule.positive()) return rule.max() == 0 ? "above 0" : absl::StrCat("above 0 and at most ", max);
  const std::string min = FormatDouble(rule.min());
  return rule.max() == 0 ? absl::StrCat("of at least ", min) : absl::StrCat("from ", min, " to ", max);
}

bool IsInterval(const FieldDescriptor* field) {
  return field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE &&
         field->message_type() == Interval::descriptor();
}

bool IsGroup(const FieldDescriptor* field) {
  return field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE && !IsInterval(field);
}

bool IsSet(const Message& message, const FieldDescriptor* field) {
  const Reflection* reflection = message.GetReflection();
  return field->is_repeated() ? reflection->FieldSize(message, field) > 0
                              : reflection->HasField(message, field);
}

bool Applies(const Message& message, const FieldDescriptor* field) {
  if (RuleOf(field).only_with().empty()) return true;
  const Condition condition = ConditionOf(field);
  const std::string word = WordOf(message.GetReflection()->GetEnum(message, condition.sibling));
  return std::find(condition.words.begin(), condition.words.end(), word) != condition.words.end();
}

std::string FieldPath(absl::string_view prefix, absl::string_view name) {
  return prefix.empty() ? std::string(name) : absl::StrCat(prefix, ".", name);
}

void FillDefaults(Message* message) {
  const Descriptor* descriptor = message->GetDescriptor();
  for (int i = 0; i < descriptor->field_count(); ++i) {
    const FieldDescriptor* field = descriptor->field(i);
    const FieldRule& rule = RuleOf(field);
    if (IsGroup(field)) {
      if (rule.optional_group() && !IsSet(*message, field)) continue;
      FillDefaults(message->GetReflection()->MutableMessage(message, field));
    } else if (!rule.default_().empty() && !IsSet(*message, field) && Applies(*message, field)) {
      SetScalar({rule.default_(), false}, message, field).IgnoreError();  // a unit test reads every default
    }
  }
}

void ClearUnusedLaterFields(Message* message) {
  const Descriptor* descriptor = message->GetDescriptor();
  const std::unique_ptr<const Message> unset(message->New());
  for (int i = 0; i < descriptor->field_count(); ++i) {
    const FieldDescriptor* field = descriptor->field(i);
    if (!IsSet(*message, field)) continue;
    if (IsGroup(field)) {
      ClearUnusedLaterFields(message->GetReflection()->MutableMessage(message, field));
    } else if (RuleOf(field).added_later() && !field->is_repeated() &&
               FormatScalar(*message, field) == FormatScalar(*unset, field)) {
      message->GetReflection()->ClearField(message, field);
    }
  }
}

void MapPaths(const std::function<std::string(const std::string&)>& map, Message* message) {
  const Reflection* reflection = message->GetReflection();
  const Descriptor* descriptor = message->GetDescriptor();
  for (int i = 0; i < descriptor->field_count(); ++i) {
    const FieldDescriptor* field = descriptor->field(i);
    if (!IsSet(*message, field)) continue;
    if (IsGroup(field)) {
      MapPaths(map, reflection->MutableMessage(message, field));
    } else if (RuleOf(field).path() && !field->is_repeated()) {
      reflection->SetString(message, field, map(reflection->GetString(*message, field)));
    } else if (RuleOf(field).path()) {
      for (int k = 0; k < reflection->FieldSize(*message, field); ++k) {
        reflection->SetRepeatedString(message, field, k,
                                      map(reflection->GetRepeatedString(*message, field, k)));
      }
    }
  }
}

}  // namespace shoal
