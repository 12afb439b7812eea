#include "common/job/job_scalar.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <limits>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/base/nearest_name.h"
#include "common/base/utf8.h"
#include "common/job/job_rules.h"

namespace shoal {
namespace {

using google::protobuf::EnumValueDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

std::string Shown(const ScalarText& scalar) {
  const std::string text = ToQuoted(scalar.text);
  return scalar.quoted ? absl::StrCat("the string '", text, "'") : absl::StrCat("'", text, "'");
}

// `largest`: the largest number of the field's type.
std::string WholeNumberText(const FieldRule& rule, uint64_t largest) {
  if (rule.max() > 0) return absl::StrCat("a whole number ", RangeText(rule));
  return absl::StrCat("a whole number from ", FormatDouble(rule.min()), " to ", largest);
}

absl::Status Mismatch(const ScalarText& scalar, const FieldDescriptor* field) {
  return absl::InvalidArgumentError(absl::StrCat("expected ", ExpectedText(field), ", got ", Shown(scalar)));
}

bool AllDigits(absl::string_view text) {
  for (char c : text) {
    if (!absl::ascii_isdigit(c)) return false;
  }
  return !text.empty();
}

// Only decimal digits: no sign, no exponent, no blanks.
bool ParseWhole(absl::string_view text, uint64_t* value) {
  return AllDigits(text) && absl::SimpleAtoi(text, value);
}

// A finite decimal number; SimpleAtod alone would accept blanks, "inf", "nan" and hexadecimal.
bool ParseFinite(absl::string_view text, double* value) {
  for (char c : text) {
    if (!absl::ascii_isdigit(c) && c != '+' && c != '-' && c != '.' && c != 'e' && c != 'E') return false;
  }
  return absl::SimpleAtod(text, value) && std::isfinite(*value);
}

absl::Status SetWord(const ScalarText& scalar, Message* message, const FieldDescriptor* field) {
  const absl::StatusOr<const EnumValueDescriptor*> value = FindWord(field->enum_type(), scalar.text);
  if (!value.ok()) return value.status();
  message->GetReflection()->SetEnum(message, field, *value);
  return absl::OkStatus();
}

absl::Status SetString(const ScalarText& scalar, Message* message, const FieldDescriptor* field) {
  const Reflection* reflection = message->GetReflection();
  if (field->is_repeated()) {
    reflection->AddString(message, field, scalar.text);
  } else {
    reflection->SetString(message, field, scalar.text);
  }
  return absl::OkStatus();
}

absl::Status SetWhole(const ScalarText& scalar, Message* message, const FieldDescriptor* field) {
  const bool narrow = field->cpp_type() == FieldDescriptor::CPPTYPE_UINT32;
  uint64_t value = 0;
  if (scalar.quoted || !ParseWhole(scalar.text, &value)) return Mismatch(scalar, field);
  if (narrow && value > std::numeric_limits<uint32_t>::max()) return Mismatch(scalar, field);
  if (narrow) {
    message->GetReflection()->SetUInt32(message, field, static_cast<uint32_t>(value));
  } else {
    message->GetReflection()->SetUInt64(message, field, value);
  }
  return absl::OkStatus();
}

absl::Status SetDouble(const ScalarText& scalar, Message* message, const FieldDescriptor* field) {
  double value = 0;
  if (scalar.quoted || !ParseFinite(scalar.text, &value)) return Mismatch(scalar, field);
  message->GetReflection()->SetDouble(message, field, value);
  return absl::OkStatus();
}

absl::Status SetBool(const ScalarText& scalar, Message* message, const FieldDescriptor* field) {
  if (scalar.quoted || (scalar.text != "true" && scalar.text != "false")) return Mismatch(scalar, field);
  message->GetReflection()->SetBool(message, field, scalar.text == "true");
  return absl::OkStatus();
}

absl::Status SetInterval(const ScalarText& scalar, Message* message, const FieldDescriptor* field) {
  absl::StatusOr<Interval> interval = ParseInterval(scalar.text);
  if (!interval.ok()) return interval.status();
  message->GetReflection()->MutableMessage(message, field)->CopyFrom(*interval);
  return absl::OkStatus();
}

}  // namespace

absl::Status SetScalar(const ScalarText& scalar, Message* message, const FieldDescriptor* field) {
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_ENUM:
      return SetWord(scalar, message, field);
    case FieldDescriptor::CPPTYPE_STRING:
      return SetString(scalar, message, field);
    case FieldDescriptor::CPPTYPE_UINT32:
    case FieldDescriptor::CPPTYPE_UINT64:
      return SetWhole(scalar, message, field);
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return SetDouble(scalar, message, field);
    case FieldDescriptor::CPPTYPE_BOOL:
      return SetBool(scalar, message, field);
    case FieldDescriptor::CPPTYPE_MESSAGE:
      if (IsInterval(field)) return SetInterval(scalar, message, field);
      return Mismatch(scalar, field);
    default:
      return absl::InternalError(
          absl::StrCat("job.proto: ", field->full_name(), " has a type without a parser"));
  }
}

std::string FormatScalar(const Message& message, const FieldDescriptor* field, int index) {
  const Reflection* reflection = message.GetReflection();
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_ENUM:
      return WordOf(field->is_repeated() ? reflection->GetRepeatedEnum(message, field, index)
                                         : reflection->GetEnum(message, field));
    case FieldDescriptor::CPPTYPE_STRING:
      return field->is_repeated() ? reflection->GetRepeatedString(message, field, index)
                                  : reflection->GetString(message, field);
    case FieldDescriptor::CPPTYPE_UINT32:
      return absl::StrCat(reflection->GetUInt32(message, field));
    case FieldDescriptor::CPPTYPE_UINT64:
      return absl::StrCat(reflection->GetUInt64(message, field));
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return FormatDouble(reflection->GetDouble(message, field));
    case FieldDescriptor::CPPTYPE_BOOL:
      return reflection->GetBool(message, field) ? "true" : "false";
    case FieldDescriptor::CPPTYPE_MESSAGE: {
      Interval interval;
      if (IsInterval(field)) interval.CopyFrom(reflection->GetMessage(message, field));
      return FormatInterval(interval);
    }
    default:
      return "";
  }
}

absl::StatusOr<Interval> ParseInterval(absl::string_view text) {
  Interval interval;
  if (text == "never") {
    interval.set_never(true);
    return interval;
  }
  const size_t digits = std::min(text.find_first_not_of("0123456789.+-eE"), text.size());
  // "3epochs": the 'e' is not an exponent.
  const size_t end = digits > 0 && digits < text.size() && text[digits - 1] == 'e' ? digits - 1 : digits;
  const absl::string_view number = text.substr(0, end);
  const std::string unit(absl::StripLeadingAsciiWhitespace(text.substr(end)));
  double epochs = 0;
  uint64_t rounds = 0;
  if (!ParseFinite(number, &epochs) || unit.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("expected a number with a unit, such as '200 rounds' or '0.5 epochs', or 'never'; got ",
                     Shown({std::string(text), false})));
  }
  if (unit == "epoch" || unit == "epochs") {
    interval.set_epochs(epochs);
    return interval;
  }
  if (unit != "round" && unit != "rounds") {
    return absl::InvalidArgumentError(absl::StrCat("unknown unit in ", Shown({std::string(text), false}),
                                                   "; expected rounds or epochs",
                                                   DidYouMean(unit, {"rounds", "epochs"})));
  }
  if (!ParseWhole(number, &rounds)) {
    return absl::InvalidArgumentError(
        absl::StrCat("expected a whole number of rounds, got ", Shown({std::string(text), false})));
  }
  interval.set_rounds(rounds);
  return interval;
}

std::string FormatInterval(const Interval& interval) {
  switch (interval.length_case()) {
    case Interval::kRounds:
      return absl::StrCat(interval.rounds(), interval.rounds() == 1 ? " round" : " rounds");
    case Interval::kEpochs:
      return absl::StrCat(FormatDouble(interval.epochs()), interval.epochs() == 1 ? " epoch" : " epochs");
    default:
      return "never";
  }
}

std::string FormatDouble(double value) {
  char text[32];
  // "1000000" is more readable than the shorter "1e+06".
  const bool whole = std::trunc(value) == value && std::fabs(value) < 1e15;
  const std::to_chars_result end =
      whole ? std::to_chars(text, text + sizeof(text), value, std::chars_format::fixed)
            : std::to_chars(text, text + sizeof(text), value);
  return std::string(text, end.ptr);
}

std::string ExpectedText(const FieldDescriptor* field) {
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_ENUM:
      return absl::StrCat("one of ", SupportedWords(field->enum_type()));
    case FieldDescriptor::CPPTYPE_STRING:
      return field->is_repeated() ? "a list of strings" : "a string";
    case FieldDescriptor::CPPTYPE_UINT32:
      return WholeNumberText(RuleOf(field), std::numeric_limits<uint32_t>::max());
    case FieldDescriptor::CPPTYPE_UINT64:
      return WholeNumberText(RuleOf(field), std::numeric_limits<uint64_t>::max());
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return absl::StrCat("a number ", RangeText(RuleOf(field)));
    case FieldDescriptor::CPPTYPE_BOOL:
      return "true or false";
    default:
      return IsInterval(field) ? "a number with a unit, such as '200 rounds' or '0.5 epochs', or 'never'"
                               : "a group of fields";
  }
}

}  // namespace shoal
