#include "common/job/rule_defaults.h"

#include <algorithm>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "catch2/catch.hpp"
#include "common/job/job_reference.h"
#include "common/job/job_scalar.h"
#include "common/job/job_spec.h"

namespace shoal {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::EnumValueDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

using FieldVisitor = std::function<void(const FieldDescriptor* field, const std::string& group)>;

// The fields with a `default_of`, with the paths of their groups.
void ForEachRuleDefault(const Descriptor* message, const std::string& group, const FieldVisitor& visit) {
  for (int i = 0; i < message->field_count(); ++i) {
    const FieldDescriptor* field = message->field(i);
    if (IsGroup(field)) ForEachRuleDefault(field->message_type(), FieldPath(group, field->name()), visit);
    if (!RuleOf(field).default_of().empty()) visit(field, group);
  }
}

void ForEachRuleDefault(const FieldVisitor& visit) { ForEachRuleDefault(JobSpec::descriptor(), "", visit); }

const Message& GroupIn(const Message& message, const std::string& group) {
  const Message* inner = &message;
  for (absl::string_view name : absl::StrSplit(group, '.', absl::SkipEmpty()))
    inner = &inner->GetReflection()->GetMessage(*inner,
                                                inner->GetDescriptor()->FindFieldByName(std::string(name)));
  return *inner;
}

JobSpec JobWith(const RuleKind& kind, const EnumValueDescriptor* word) {
  JobSpec job;
  if (kind.name == "task_rule") job.set_task(static_cast<TaskType>(word->number()));
  if (kind.name == "format_rule") job.mutable_data()->set_format(static_cast<DataFormat>(word->number()));
  if (kind.name == "family_rule") job.mutable_model()->set_family(static_cast<ModelFamily>(word->number()));
  CompleteJob(&job);
  return job;
}

// The field's default in the reference: "a with x or y, otherwise b; without `c`".
std::string ReferenceCell(const FieldDescriptor* field, const std::string& group) {
  const std::string reference = JobReference();
  const size_t section = reference.find(absl::StrCat("\n## `", group, "`\n"));
  const size_t row = reference.find(absl::StrCat("\n| `", field->name(), "` | "), section);
  REQUIRE(row != std::string::npos);
  const std::vector<std::string> cells = absl::StrSplit(reference.substr(row), absl::MaxSplits(" | ", 3));
  return cells[2];
}

// What the cell says for a word; "" when it says nothing.
std::string DefaultIn(const std::string& cell, const std::string& noun, const std::string& word) {
  for (absl::string_view part : absl::StrSplit(cell.substr(0, cell.find("; without ")), ", ")) {
    if (absl::ConsumePrefix(&part, "otherwise ")) return std::string(part);
    const std::pair<std::string, std::string> choice = absl::StrSplit(part, absl::MaxSplits(" with ", 1));
    const std::vector<std::string> words =
        absl::StrSplit(absl::StripPrefix(choice.second, absl::StrCat(noun, " ")), " or ");
    if (std::find(words.begin(), words.end(), word) != words.end()) return choice.first;
  }
  return "";
}

// The field's value as the reference writes it, of several the first; when it is not set, whether it must be.
std::string ValueOf(const Message& message, const FieldDescriptor* field) {
  if (!IsSet(message, field)) return RuleOf(field).required() ? "**required**" : "";
  const std::string text = FormatScalar(message, field, 0);
  return field->cpp_type() == FieldDescriptor::CPPTYPE_STRING ? absl::StrCat("`", text, "`") : text;
}

TEST_CASE("Every default_of in job.proto names a rule's field") {
  ForEachRuleDefault([](const FieldDescriptor* field, const std::string&) {
    INFO(field->full_name());
    const std::optional<DefaultSource> source = DefaultSourceOf(field);
    REQUIRE(source);
    REQUIRE(source->field != nullptr);
    CHECK(source->field->cpp_type() == field->cpp_type());
    const std::string& without = RuleOf(field).without();
    CHECK((without.empty() || field->containing_type()->FindFieldByName(without) != nullptr));
  });
}

TEST_CASE("With every task, format and family, a field gets the default that the reference says") {
  int fields = 0;
  ForEachRuleDefault([&](const FieldDescriptor* field, const std::string& group) {
    const RuleKind& kind = *DefaultSourceOf(field)->kind;
    const std::string cell = ReferenceCell(field, group);
    for (int i = 0; i < kind.words->value_count(); ++i) {
      const std::string word = WordOf(kind.words->value(i));
      INFO(field->full_name() << " with " << word << ": " << cell);
      const JobSpec job = JobWith(kind, kind.words->value(i));
      CHECK(ValueOf(GroupIn(job, group), field) == DefaultIn(cell, std::string(kind.noun), word));
    }
    ++fields;
  });
  CHECK(fields >= 9);
}

TEST_CASE("A default for jobs without a sibling is not made with it") {
  JobSpec job;
  job.mutable_model()->set_from("bert");
  CompleteJob(&job);
  ForEachRuleDefault([&](const FieldDescriptor* field, const std::string& group) {
    INFO(field->full_name());
    if (RuleOf(field).without() == "from") CHECK_FALSE(IsSet(GroupIn(job, group), field));
  });
}

TEST_CASE("A list gets all columns of its format, and a job without a format none") {
  JobSpec job;
  job.mutable_data()->set_format(DATA_FORMAT_CONLL);
  CompleteJob(&job);
  const auto& columns = RuleOf(DATA_FORMAT_CONLL).text();
  CHECK(std::equal(columns.begin(), columns.end(), job.data().text().begin(), job.data().text().end()));
  JobSpec without;
  CompleteJob(&without);
  CHECK_FALSE(without.data().has_format());
  CHECK(without.data().text().empty());
}

TEST_CASE("A family's defaults are those of the task's own family") {
  JobSpec job;
  job.set_task(TASK_CAUSAL_LANGUAGE_MODELLING);
  CompleteJob(&job);
  CHECK(job.model().family() == MODEL_FAMILY_GPT2);
  CHECK(job.model().activation() == ACTIVATION_TYPE_GELU_TANH);
}

TEST_CASE("A task or family that this version does not know has no list to choose from") {
  JobSpec job;
  job.set_task(static_cast<TaskType>(77));
  job.mutable_model()->set_family(static_cast<ModelFamily>(77));
  CompleteJob(&job);
  CHECK_FALSE(job.tokenizer().has_type());
  CHECK_FALSE(job.evaluation().has_metric());
  CHECK_FALSE(job.model().has_norm());
}

}  // namespace
}  // namespace shoal
