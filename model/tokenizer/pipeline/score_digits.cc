#include "model/tokenizer/pipeline/score_digits.h"

#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstdlib>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/base/status.h"

namespace shoal::model::pipeline {
namespace {

// digits * 10^exponent
struct Decimal {
  uint64_t digits = 0;
  int exponent = 0;
};

Decimal ShortestDecimal(double magnitude) {
  char buffer[32];
  const auto end =
      std::to_chars(buffer, buffer + sizeof(buffer), magnitude, std::chars_format::scientific).ptr;
  const absl::string_view text(buffer, end - buffer);  // such as 1.25e-01
  const size_t e = text.find('e');
  Decimal result;
  SHOAL_CHECK(absl::SimpleAtoi(text.substr(e + 1), &result.exponent));
  for (const char c : text.substr(0, e)) {
    if (c != '.') result.digits = result.digits * 10 + static_cast<uint64_t>(c - '0');
  }
  if (e > 1) result.exponent -= static_cast<int>(e) - 2;
  return result;
}

double PowerOfTen(int exponent) {
  double power = 0;
  SHOAL_CHECK(absl::SimpleAtod(absl::StrCat("1e", exponent), &power));
  return power;
}

}  // namespace

double AsTokenizersReads(double value) {
  constexpr int kMaxExponent = 300;
  if (!std::isfinite(value)) return value;
  const Decimal decimal = ShortestDecimal(std::abs(value));
  if (std::abs(decimal.exponent) > kMaxExponent) return value;
  const double power = PowerOfTen(std::abs(decimal.exponent));
  const auto digits = static_cast<double>(decimal.digits);
  return std::copysign(decimal.exponent < 0 ? digits / power : digits * power, value);
}

}  // namespace shoal::model::pipeline
