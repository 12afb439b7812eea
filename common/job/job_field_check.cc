// FindFieldProblems of common/job/job_rules.h.
#include <cmath>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/string_view.h"
#include "common/base/utf8.h"
#include "common/job/job_rules.h"
#include "common/job/job_scalar.h"

namespace shoal {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::EnumValueDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

// Far longer than any path or name; bounded so that a job can't fill the scheduler's store.
constexpr size_t kMaxStringBytes = 4096;
constexpr int kMaxListLength = 10000;
constexpr double kMaxIntervalEpochs = 1e6;
constexpr uint64_t kMaxIntervalRounds = 1000000000;

std::string RangeProblem(double value, const FieldDescriptor* field) {
  const FieldRule& rule = RuleOf(field);
  if (!std::isfinite(value)) return absl::StrCat("expected a finite number, got ", FormatDouble(value));
  const bool too_low = value < rule.min() || (rule.positive() && value <= 0);
  if (!too_low && (rule.max() == 0 || value <= rule.max())) return "";
  return absl::StrCat("expected ", ExpectedText(field), ", got ", FormatDouble(value));
}

std::string WordProblem(const Message& message, const FieldDescriptor* field) {
  const int number = message.GetReflection()->GetEnumValue(message, field);
  const EnumValueDescriptor* value = field->enum_type()->FindValueByNumber(number);
  if (value != nullptr) return RuleOf(value).unsupported();
  return absl::StrCat("expected ", ExpectedText(field), ", got value number ", number,
                      ", which this version does not know");
}

std::string StringProblem(absl::string_view text) {
  if (text.empty()) return "expected a non-empty string";
  if (text.size() > kMaxStringBytes) {
    return absl::StrCat("expected at most ", kMaxStringBytes, " bytes, got ", text.size());
  }
  if (!IsValidUtf8(text)) return "expected text in UTF-8";
  if (absl::StrContains(text, absl::string_view("\0", 1))) return "expected text without a zero byte";
  return "";
}

std::string IntervalProblem(const Interval& interval) {
  switch (interval.length_case()) {
    case Interval::kRounds:
      if (interval.rounds() <= kMaxIntervalRounds) return "";
      return absl::StrCat("expected a number of rounds from 0 to ", kMaxIntervalRounds, ", got ",
                          interval.rounds());
    case Interval::kEpochs:
      if (interval.epochs() >= 0 && interval.epochs() <= kMaxIntervalEpochs) return "";
      return absl::StrCat("expected a number of epochs from 0 to ", FormatDouble(kMaxIntervalEpochs),
                          ", got ", FormatDouble(interval.epochs()));
    case Interval::kNever:
      return interval.never() ? "" : "expected 'never', a number of rounds or a number of epochs";
    default:
      return "expected a number of rounds or of epochs";
  }
}

// What is wrong with the value of a single field (not a list, not a group); "" when nothing is.
std::string ValueProblem(const Message& message, const FieldDescriptor* field) {
  const Reflection* reflection = message.GetReflection();
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_UINT32:
      return RangeProblem(reflection->GetUInt32(message, field), field);
    case FieldDescriptor::CPPTYPE_UINT64:
      return RangeProblem(static_cast<double>(reflection->GetUInt64(message, field)), field);
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return RangeProblem(reflection->GetDouble(message, field), field);
    case FieldDescriptor::CPPTYPE_ENUM:
      return WordProblem(message, field);
    case FieldDescriptor::CPPTYPE_STRING:
      return StringProblem(reflection->GetString(message, field));
    case FieldDescriptor::CPPTYPE_MESSAGE: {
      Interval interval;
      interval.CopyFrom(reflection->GetMessage(message, field));
      return IntervalProblem(interval);
    }
    default:
      return "";
  }
}

// Collects the problems of one message and its groups.
class Checker {
 public:
  void Check(const Message& message, const std::string& prefix) {
    const Descriptor* descriptor = message.GetDescriptor();
    const Reflection* reflection = message.GetReflection();
    if (!reflection->GetUnknownFields(message).empty()) {
      Add(prefix, "has fields that this version does not know (made by a newer one?)");
    }
    for (int i = 0; i < descriptor->field_count(); ++i) {
      const FieldDescriptor* field = descriptor->field(i);
      const std::string path = FieldPath(prefix, field->name());
      if (!IsGroup(field)) {
        CheckField(message, field, path);
      } else if (IsSet(message, field)) {
        Check(reflection->GetMessage(message, field), path);
      }
    }
  }

  std::vector<JobProblem> Take() { return std::move(problems_); }

 private:
  void CheckField(const Message& message, const FieldDescriptor* field, const std::string& path) {
    const FieldRule& rule = RuleOf(field);
    if (!IsSet(message, field)) {
      if (rule.required() && Applies(message, field)) problems_.push_back({path, MissingText(field), true});
      return;
    }
    if (!rule.unsupported().empty()) return Add(path, rule.unsupported());
    if (!Applies(message, field)) return Add(path, MisplacedText(message, field));
    if (field->is_repeated()) return CheckList(message, field, path);
    Add(path, ValueProblem(message, field));
  }

  void CheckList(const Message& message, const FieldDescriptor* field, const std::string& path) {
    const Reflection* reflection = message.GetReflection();
    const int size = reflection->FieldSize(message, field);
    if (size > kMaxListLength) {
      return Add(path, absl::StrCat("expected at most ", kMaxListLength, " elements, got ", size));
    }
    for (int i = 0; i < size; ++i) {
      Add(absl::StrCat(path, "[", i, "]"), StringProblem(reflection->GetRepeatedString(message, field, i)));
    }
  }

  static std::string MissingText(const FieldDescriptor* field) {
    return absl::StrCat("is missing; expected ", ExpectedText(field), ", for example ",
                        RuleOf(field).example());
  }

  static std::string MisplacedText(const Message& message, const FieldDescriptor* field) {
    const std::string& only_with = RuleOf(field).only_with();
    const std::string sibling = only_with.substr(0, only_with.find('='));
    const FieldDescriptor* type = message.GetDescriptor()->FindFieldByName(sibling);
    return absl::StrCat("has no effect with ", sibling, " ", FormatScalar(message, type), "; only with ",
                        absl::StrReplaceAll(only_with, {{"=", " "}, {"|", " or "}}));
  }

  void Add(const std::string& path, std::string message) {
    if (!message.empty()) problems_.push_back({path, std::move(message), false});
  }

  std::vector<JobProblem> problems_;
};

}  // namespace

std::vector<JobProblem> FindFieldProblems(const Message& message) {
  Checker checker;
  checker.Check(message, "");
  return checker.Take();
}

}  // namespace shoal
