#include "kernels/elementwise.h"

#include <vector>

#include "catch2/catch.hpp"
#include "kernels/test_numbers.h"
#include "kernels/token_blocks.h"

namespace shoal::kernels {
namespace {

constexpr int64_t kRows = 2 * kTokenBlock + 3;
constexpr int64_t kColumns = 53;

ConstTensor Matrix(const std::vector<float>& x) {
  return ConstTensor(x.data(), {static_cast<int64_t>(x.size()) / kColumns, kColumns});
}
Tensor Matrix(std::vector<float>& x) {
  return Tensor(x.data(), {static_cast<int64_t>(x.size()) / kColumns, kColumns});
}

TEST_CASE("sum and product by a factor are those of each element, also in place") {
  const auto device = MakeDevice(2);
  const auto a = Numbers(kRows * kColumns, 1), b = Numbers(kRows * kColumns, 2);
  std::vector<float> sum = a, scaled = a, expected_sum(a.size()), expected_scaled(a.size());
  Add(*device, Matrix(sum), Matrix(b), Matrix(sum));
  Scale(*device, Matrix(scaled), 0.3f, Matrix(scaled));
  for (size_t i = 0; i < a.size(); ++i) {
    expected_sum[i] = a[i] + b[i];
    expected_scaled[i] = a[i] * 0.3f;
  }
  CHECK(SameBits(sum, expected_sum));
  CHECK(SameBits(scaled, expected_scaled));
}

TEST_CASE("long vectors and columns of wider matrices are covered to their last element") {
  const auto device = MakeDevice(2);
  const int64_t size = 100003;
  const auto a = Numbers(size, 1);
  std::vector<float> twice(size), expected(size);
  Add(*device, ConstTensor(a.data(), {size}), ConstTensor(a.data(), {size}), Tensor(twice.data(), {size}));
  for (int64_t i = 0; i < size; ++i) expected[i] = 2 * a[i];
  CHECK(SameBits(twice, expected));

  std::vector<float> matrix(kRows * kColumns, 1.0f), wanted = matrix;
  SetZero(*device, Matrix(matrix).Columns(3, 40));
  for (int64_t i = 0; i < kRows * kColumns; ++i) {
    if (i % kColumns >= 3 && i % kColumns < 40) wanted[i] = 0;
  }
  CHECK(SameBits(matrix, wanted));
}

TEST_CASE("conversion to bf16 rounds to nearest even and back is exact") {
  const auto device = MakeDevice();
  auto x = Numbers(kRows * kColumns, 1);
  x[0] = 1.00390625f;  // half way between two: the even one is below
  x[1] = 1.01171875f;  // half way: the even one is above
  std::vector<Bf16> y(x.size());
  std::vector<float> back(x.size());
  Convert(*device, Matrix(x), Tensor(y.data(), {kRows, kColumns}));
  Convert(*device, ConstTensor(y.data(), {kRows, kColumns}), Matrix(back));
  CHECK(back[0] == 1.0f);
  CHECK(back[1] == 1.015625f);
  CHECK(SameBits(back, ToFloats(ToBf16s(x))));
  std::vector<float> host(x.size());
  CopyToHost(*device, ConstTensor(y.data(), {kRows, kColumns}), absl::MakeSpan(host));
  CHECK(SameBits(host, back));
}

std::vector<float> ColumnSums(Device& device, const std::vector<float>& x) {
  std::vector<float> sums = Numbers(kColumns, 5);
  AddColumnSums(device, Matrix(x), Tensor(sums.data(), {kColumns}));
  return sums;
}

TEST_CASE("column sums are added in blocks of tokens to what was there") {
  const auto device = MakeDevice(2);
  const auto x = Numbers(kRows * kColumns, 1);
  std::vector<float> expected = Numbers(kColumns, 5);
  for (int64_t c = 0; c < kColumns; ++c) {
    float total = 0;
    for (int64_t first = 0; first < kRows; first += kTokenBlock) {
      float block = 0;
      for (int64_t n = first; n < std::min(kRows, first + kTokenBlock); ++n) block += x[n * kColumns + c];
      total += block;
    }
    expected[c] += total;
  }
  CHECK(SameBits(ColumnSums(*device, x), expected));
  CheckSameBitsEverywhere([&](Device& other) { return ColumnSums(other, x); });
}

const std::vector<int32_t> kOffsets = {0, 1, 6, 6 + 70, kRows};

std::vector<float> Pooled(Device& device, RowDivisor divisor, const std::vector<float>& x) {
  std::vector<float> y(4 * kColumns);
  PoolRows(device, Matrix(x), ConstTensor(kOffsets.data(), {5}), divisor, Matrix(y));
  return y;
}

TEST_CASE("what pools the tokens of examples, and its gradient, are those of the formula") {
  const auto device = MakeDevice(2);
  const auto x = Numbers(kRows * kColumns, 1), d_y = Numbers(4 * kColumns, 2);
  for (RowDivisor divisor : {RowDivisor::kTokens, RowDivisor::kRootOfTokens}) {
    std::vector<double> y(4 * kColumns), d_x(x.size());
    for (int64_t b = 0; b < 4; ++b) {
      const double tokens = kOffsets[b + 1] - kOffsets[b];
      const double by = divisor == RowDivisor::kTokens ? tokens : std::sqrt(tokens);
      for (int64_t n = kOffsets[b]; n < kOffsets[b + 1]; ++n) {
        for (int64_t c = 0; c < kColumns; ++c) {
          y[b * kColumns + c] += x[n * kColumns + c] / by;
          d_x[n * kColumns + c] = d_y[b * kColumns + c] / by;
        }
      }
    }
    CHECK(WorstError(Pooled(*device, divisor, x), y) < 1e-6);
    std::vector<float> actual(x.size());
    PoolRowsBackward(*device, Matrix(d_y), ConstTensor(kOffsets.data(), {5}), divisor, Matrix(actual));
    CHECK(WorstError(actual, d_x) < 1e-6);
    CheckSameBitsEverywhere([&](Device& other) { return Pooled(other, divisor, x); });
  }
}

}  // namespace
}  // namespace shoal::kernels
