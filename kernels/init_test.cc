#include "kernels/init.h"

#include <cmath>
#include <vector>

#include "catch2/catch.hpp"
#include "common/base/philox.h"
#include "kernels/test_numbers.h"

namespace shoal::kernels {
namespace {

constexpr uint64_t kKey = 0xfeedfacecafebeefu;

std::vector<float> Normal(uint64_t first, int64_t size, float mean = 0, float deviation = 1) {
  std::vector<float> out(size);
  FillNormal(kKey, first, mean, deviation, absl::MakeSpan(out));
  return out;
}

// Word w of counter i of the group: element 64 g + 16 w + i.
uint32_t Word(uint64_t element) {
  const uint64_t counter = element / 64 * 16 + element % 16;
  return Philox4x32(
      kKey, {static_cast<uint32_t>(counter), static_cast<uint32_t>(counter >> 32), 0, 0})[element % 64 / 16];
}

TEST_CASE("normal numbers are Box and Muller's of Philox words") {
  const uint64_t first = (uint64_t{1} << 36) + 5;  // the counter's second word is used
  const auto actual = Normal(first, 1000, 0.5f, 0.02f);
  std::vector<double> expected;
  for (uint64_t at = first; at < first + 1000; ++at) {
    const bool second = at % 32 >= 16;
    const uint64_t pair = second ? at - 16 : at;
    const double u = ((Word(pair) >> 9) + 0.5) * 0x1p-23, v = (Word(pair + 16) >> 8) * 0x1p-24;
    const double angle = 2 * std::acos(-1.0) * v;
    expected.push_back(0.5 +
                       0.02 * std::sqrt(-2 * std::log(u)) * (second ? std::sin(angle) : std::cos(angle)));
  }
  CHECK(WorstError(actual, expected) < 1e-7);
}

TEST_CASE("a cut into pieces changes no bit") {
  const auto whole = Normal(3, 500);
  CHECK(SameBits(whole, Joined({Normal(3, 1), Normal(4, 200), Normal(204, 299)})));
}

TEST_CASE("moments of many normal numbers are those of the distribution") {
  const int64_t n = 400000;
  double mean = 0, square = 0, fourth = 0;
  for (float x : Normal(0, n)) {
    mean += x;
    square += static_cast<double>(x) * x;
    fourth += std::pow(x, 4.0);
  }
  CHECK(std::abs(mean / n) < 4 / std::sqrt(n));
  CHECK(std::abs(square / n - 1) < 4 * std::sqrt(2.0 / n));
  CHECK(std::abs(fourth / n - 3) < 4 * std::sqrt(96.0 / n));
}

TEST_CASE("initial values have the same bits on every instruction set") {
  CheckSameBitsEverywhere([](Device&) { return Normal(11, 5000, 0, 0.02f); });
}

}  // namespace
}  // namespace shoal::kernels
