#include "kernels/perturbation.h"

#include <cmath>
#include <vector>

#include "catch2/catch.hpp"
#include "kernels/test_numbers.h"

namespace shoal::kernels {
namespace {

constexpr int64_t kColumns = 24;
const std::vector<int32_t> kOffsets = {0, 3, 4, 9};
constexpr int64_t kTokens = 9;

ConstTensor Offsets() { return ViewOf(absl::MakeConstSpan(kOffsets)); }
Tensor Matrix(std::vector<float>& values) { return Tensor(values.data(), {kTokens, kColumns}); }

double NormOf(const std::vector<float>& x, size_t example) {
  double sum = 0;
  for (int64_t i = kOffsets[example] * kColumns; i < kOffsets[example + 1] * kColumns; ++i)
    sum += double{x[i]} * x[i];
  return std::sqrt(sum);
}

TEST_CASE("A step follows each example's gradient, and ends at the radius") {
  std::vector<float> gradient = Numbers(kTokens * kColumns, 1), delta(kTokens * kColumns);
  for (int64_t i = 3 * kColumns; i < 4 * kColumns; ++i) gradient[i] = 0;  // the second example's
  CheckSameBitsEverywhere([&](Device& device) {
    std::fill(delta.begin(), delta.end(), 0.0f);
    StepPerturbation(device, {Matrix(gradient), Offsets(), 0.3, 0.5, Matrix(delta)});
    for (size_t example : {0, 2}) {
      CHECK(NormOf(delta, example) == Approx(0.3));
      const int64_t i = kOffsets[example] * kColumns + 5;
      CHECK(delta[i] == Approx(0.3 * gradient[i] / NormOf(gradient, example)));
    }
    CHECK(NormOf(delta, 1) == 0);
    StepPerturbation(device, {Matrix(gradient), Offsets(), 0.3, 0.5, Matrix(delta)});
    for (size_t example : {0, 2}) CHECK(NormOf(delta, example) == Approx(0.5));
    return delta;
  });
}

TEST_CASE("A gradient that is not finite moves no perturbation") {
  const auto device = MakeDevice(2);
  std::vector<float> gradient = Numbers(kTokens * kColumns, 1), delta(kTokens * kColumns);
  gradient[0] = NAN;
  gradient[4 * kColumns] = INFINITY;
  StepPerturbation(*device, {Matrix(gradient), Offsets(), 0.3, 0.5, Matrix(delta)});
  for (size_t example : {0, 2}) CHECK(NormOf(delta, example) == 0);
  CHECK(NormOf(delta, 1) > 0);
}

TEST_CASE("A random perturbation is within the radius, and that of a token, wherever its batch begins") {
  const auto device = MakeDevice(2);
  std::vector<float> delta(kTokens * kColumns), moved(kTokens * kColumns);
  RandomPerturbation(*device, 7, 100, Offsets(), 0.5, Matrix(delta));
  for (size_t example = 0; example < 3; ++example) {
    CHECK(NormOf(delta, example) <= 0.5);
    CHECK(NormOf(delta, example) > 0.2);
  }
  std::vector<int32_t> second = {0, 5};  // the third example alone
  RandomPerturbation(*device, 7, 104, ViewOf(absl::MakeConstSpan(second)), 0.5,
                     Tensor(moved.data(), {5, kColumns}));
  for (int64_t i = 0; i < 5 * kColumns; ++i) CHECK(moved[i] == delta[4 * kColumns + i]);
}

TEST_CASE("A perturbation is added to rows of either type") {
  const auto device = MakeDevice(2);
  std::vector<float> delta = Numbers(kTokens * kColumns, 1), y = Numbers(kTokens * kColumns, 2);
  std::vector<Bf16> rounded;
  for (float value : y) rounded.push_back(ToBf16(value));
  const std::vector<float> before = y;
  AddPerturbation(*device, Matrix(delta), Matrix(y));
  AddPerturbation(*device, Matrix(delta), Tensor(rounded.data(), {kTokens, kColumns}));
  for (size_t i = 0; i < y.size(); ++i) {
    CHECK(y[i] == before[i] + delta[i]);
    CHECK(ToFloat(rounded[i]) == ToFloat(ToBf16(ToFloat(ToBf16(before[i])) + delta[i])));
  }
}

}  // namespace
}  // namespace shoal::kernels
