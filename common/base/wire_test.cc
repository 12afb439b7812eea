#include "common/base/wire.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "catch2/catch.hpp"
#include "common/base/philox.h"

namespace shoal {
namespace {

constexpr WireFormat kFormats[] = {WIRE_FORMAT_F32, WIRE_FORMAT_BF16, WIRE_FORMAT_F16};

uint32_t Bits(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof(bits));
  return bits;
}

float FromBits(uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof(value));
  return value;
}

// Rounding to `mantissa` explicit bits and the smallest exponent `least`, in float64, where both are exact.
float Rounded(float value, int mantissa, int least, double largest) {
  if (!std::isfinite(value) || value == 0) return value;
  int exponent;
  std::frexp(static_cast<double>(value), &exponent);
  const double unit = std::ldexp(1.0, std::max(exponent - 1, least) - mantissa);
  const double rounded = std::nearbyint(value / unit) * unit;  // ties to even
  if (std::fabs(rounded) > largest) return std::copysign(std::numeric_limits<float>::infinity(), value);
  return static_cast<float>(std::copysign(rounded, value));
}

float Oracle(WireFormat format, float value) {
  if (format == WIRE_FORMAT_BF16) return Rounded(value, 7, -126, 3.3895313892515355e38);
  if (format == WIRE_FORMAT_F16) return Rounded(value, 10, -14, 65504);
  return value;
}

// All magnitudes, with ties, subnormals and the limits of the formats.
std::vector<float> Values() {
  std::vector<float> values = {0.0f,
                               -0.0f,
                               1.0f,
                               1.00390625f,
                               1.01171875f,
                               65504.0f,
                               65519.9f,
                               65520.0f,
                               1e-8f,
                               5.96e-8f,
                               3e-8f,
                               3.39e38f,
                               3.4e38f,
                               std::numeric_limits<float>::infinity(),
                               -std::numeric_limits<float>::infinity(),
                               6.1e-5f,
                               1e-40f};
  PhiloxStream random(DeriveKey(1, "wire"));
  while (values.size() < 5003) {
    const float value = FromBits(random.Next32());
    if (std::isnan(value)) continue;
    values.push_back(value);
    values.push_back(static_cast<float>(random.NextFloat() * 4 - 2));
  }
  return values;
}

std::vector<uint8_t> Encoded(WireFormat format, const std::vector<float>& values) {
  std::vector<uint8_t> bytes(EncodedBytes(format, values.size()));
  Encode(format, values, absl::MakeSpan(bytes));
  return bytes;
}

TEST_CASE("Encoding rounds to nearest, ties to even, in every format") {
  const std::vector<float> values = Values();
  for (WireFormat format : kFormats) {
    std::vector<float> decoded(values.size()), rounded = values;
    Decode(format, Encoded(format, values), absl::MakeSpan(decoded));
    RoundToWire(format, absl::MakeSpan(rounded));
    for (size_t i = 0; i < values.size(); ++i) {
      INFO(WireFormat_Name(format) << " of " << values[i]);
      REQUIRE(Bits(decoded[i]) == Bits(Oracle(format, values[i])));
      REQUIRE(Bits(rounded[i]) == Bits(decoded[i]));
    }
  }
}

TEST_CASE("NaN stays NaN") {
  for (WireFormat format : kFormats) {
    std::vector<float> values(17, std::nanf("")), decoded(17);
    Decode(format, Encoded(format, values), absl::MakeSpan(decoded));
    for (float value : decoded) CHECK(std::isnan(value));
  }
}

TEST_CASE("A tree node is the rounded sum of its children, whichever way it is computed") {
  std::vector<float> left, right;
  PhiloxStream random(DeriveKey(2, "wire"));
  for (int i = 0; i < 1003; ++i) {
    left.push_back(random.NextFloat() - 0.5f);
    right.push_back(random.NextFloat() * 100);
  }
  for (WireFormat format : kFormats) {
    RoundToWire(format, absl::MakeSpan(left));
    RoundToWire(format, absl::MakeSpan(right));
    std::vector<float> sum(left.size()), received = left;
    AddRoundToWire(format, left, right, absl::MakeSpan(sum));
    DecodeAddRoundToWire(format, Encoded(format, right), absl::MakeSpan(received));
    for (size_t i = 0; i < sum.size(); ++i) {
      REQUIRE(Bits(sum[i]) == Bits(Oracle(format, left[i] + right[i])));
      REQUIRE(Bits(received[i]) == Bits(sum[i]));
    }
  }
}

TEST_CASE("Bytes need no alignment") {
  const std::vector<float> values = Values();
  for (WireFormat format : kFormats) {
    std::vector<uint8_t> bytes(EncodedBytes(format, values.size()) + 1);
    Encode(format, values, absl::MakeSpan(bytes).subspan(1));
    std::vector<float> decoded(values.size());
    Decode(format, absl::MakeConstSpan(bytes).subspan(1), absl::MakeSpan(decoded));
    CHECK(Bits(decoded[100]) == Bits(Oracle(format, values[100])));
  }
}

}  // namespace
}  // namespace shoal
