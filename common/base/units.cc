#include "common/base/units.h"

#include <limits>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/types/span.h"
#include "common/base/nearest_name.h"
#include "common/base/status.h"

namespace shoal {
namespace {

// The nanoseconds or bytes in a unit. Units are ordered from small to large.
struct Unit {
  absl::string_view name;
  uint64_t scale;
};

constexpr Unit kDurationUnits[] = {{"ns", 1},
                                   {"us", 1000},
                                   {"ms", 1000000},
                                   {"s", 1000000000},
                                   {"min", 60000000000},
                                   {"h", 3600000000000},
                                   {"d", 86400000000000}};
constexpr Unit kByteUnits[] = {{"B", 1},         {"KB", 1000},          {"KiB", 1 << 10},
                               {"MB", 1000000},  {"MiB", 1 << 20},      {"GB", 1000000000},
                               {"GiB", 1 << 30}, {"TB", 1000000000000}, {"TiB", uint64_t{1} << 40}};
constexpr Unit kBinaryByteUnits[] = {
    {"B", 1}, {"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", uint64_t{1} << 40}};

// What is being parsed, for messages.
struct Kind {
  absl::Span<const Unit> units;
  absl::string_view expected;
};

constexpr char kExpectedDuration[] = "a duration with its unit, such as '200ms', '3s' or '10 min'";
constexpr char kExpectedBytes[] = "a size with its unit, such as '512B', '64KiB' or '8GiB'";

absl::Status Unexpected(const Kind& kind, absl::string_view text, absl::string_view detail = "") {
  return absl::InvalidArgumentError(absl::StrCat("expected ", kind.expected, ", got '", text, "'", detail));
}

absl::StatusOr<Unit> FindUnit(const Kind& kind, absl::string_view text, absl::string_view name) {
  std::vector<std::string> names;
  for (const Unit& unit : kind.units) {
    if (unit.name == name) return unit;
    names.emplace_back(unit.name);
  }
  return Unexpected(kind, text,
                    absl::StrCat("; units are ", absl::StrJoin(names, ", "), DidYouMean(name, names)));
}

// The digits after a decimal point, in the unit; they must give whole nanoseconds or bytes.
absl::StatusOr<uint64_t> ScaleFraction(const Kind& kind, absl::string_view text, absl::string_view digits,
                                       uint64_t scale) {
  // numerator / 10^n in integers, exact for up to 18 digits: digit by digit from the right would lose bits.
  uint64_t numerator = 0, denominator = 1;
  if (digits.size() > 18 || !absl::SimpleAtoi(digits, &numerator)) return Unexpected(kind, text);
  for (size_t i = 0; i < digits.size(); ++i) denominator *= 10;
  const unsigned __int128 scaled = static_cast<unsigned __int128>(numerator) * scale;
  if (scaled % denominator != 0) {
    return Unexpected(kind, text, absl::StrCat("; a fraction must give whole ", kind.units.front().name));
  }
  return static_cast<uint64_t>(scaled / denominator);
}

// The value of `text` in the smallest unit.
absl::StatusOr<uint64_t> ParseQuantity(const Kind& kind, absl::string_view text) {
  constexpr absl::string_view kDigits = "0123456789";
  const absl::string_view number = text.substr(0, text.find_first_not_of("0123456789."));
  const absl::string_view unit_name = absl::StripAsciiWhitespace(text.substr(number.size()));
  const size_t point = number.find('.');
  uint64_t whole = 0;
  if (!absl::SimpleAtoi(number.substr(0, point), &whole)) return Unexpected(kind, text);
  if (text == "0") return 0;
  SHOAL_ASSIGN_OR_RETURN(const Unit unit, FindUnit(kind, text, unit_name));
  uint64_t fraction = 0;
  if (point != absl::string_view::npos) {
    const absl::string_view digits = number.substr(point + 1);
    if (digits.find_first_not_of(kDigits) != absl::string_view::npos) return Unexpected(kind, text);
    SHOAL_ASSIGN_OR_RETURN(fraction, ScaleFraction(kind, text, digits, unit.scale));
  }
  const unsigned __int128 value = static_cast<unsigned __int128>(whole) * unit.scale + fraction;
  if (value > std::numeric_limits<int64_t>::max()) return Unexpected(kind, text, "; it is too large");
  return static_cast<uint64_t>(value);
}

std::string FormatQuantity(uint64_t value, absl::Span<const Unit> units, absl::string_view zero_unit) {
  if (value == 0) return absl::StrCat("0", zero_unit);
  size_t largest = units.size() - 1;
  while (value % units[largest].scale != 0) --largest;
  return absl::StrCat(value / units[largest].scale, units[largest].name);
}

}  // namespace

absl::StatusOr<absl::Duration> ParseDuration(absl::string_view text) {
  SHOAL_ASSIGN_OR_RETURN(const uint64_t nanoseconds,
                         ParseQuantity({kDurationUnits, kExpectedDuration}, text));
  return absl::Nanoseconds(nanoseconds);
}

std::string DurationText(absl::Duration duration) {
  if (duration < absl::ZeroDuration() || duration > absl::Nanoseconds(std::numeric_limits<int64_t>::max())) {
    return absl::FormatDuration(duration);
  }
  return FormatQuantity(static_cast<uint64_t>(absl::ToInt64Nanoseconds(duration)), kDurationUnits, "s");
}

absl::StatusOr<uint64_t> ParseBytes(absl::string_view text) {
  return ParseQuantity({kByteUnits, kExpectedBytes}, text);
}

std::string FormatBytes(uint64_t bytes) { return FormatQuantity(bytes, kBinaryByteUnits, "B"); }

}  // namespace shoal
