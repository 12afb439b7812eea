#include "kernels/dropout.h"

#include <array>
#include <cmath>
#include <vector>

#include "catch2/catch.hpp"
#include "common/base/philox.h"
#include "kernels/test_numbers.h"

namespace shoal::kernels {
namespace {

constexpr int64_t kRows = 70;
constexpr int64_t kColumns = 300;

Dropout MakeDropout(float rate) {
  Dropout dropout;
  dropout.rate = rate;
  dropout.key = 0x0123456789abcdefu;
  dropout.first_token = 1000;
  return dropout;
}

std::vector<float> Run(Device& device, const Dropout& dropout, const std::vector<float>& x,
                       const std::vector<float>& bias = {}) {
  std::vector<float> y(x.size());
  DropoutArgs args;
  args.dropout = dropout;
  const int64_t rows = static_cast<int64_t>(x.size()) / kColumns;
  args.x = ConstTensor(x.data(), {rows, kColumns});
  if (!bias.empty()) args.bias = ConstTensor(bias.data(), {kColumns});
  args.y = Tensor(y.data(), {rows, kColumns});
  ApplyDropout(device, args);
  return y;
}

TEST_CASE("an element is kept by its own 16 bits of Philox and divided by the probability to keep") {
  const auto device = MakeDevice(2);
  const auto x = Numbers(kRows * kColumns, 1), bias = Numbers(kColumns, 2);
  const Dropout dropout = MakeDropout(0.25f);
  const auto y = Run(*device, dropout, x, bias);
  std::vector<double> expected;
  for (int64_t n = 0; n < kRows; ++n) {
    for (int64_t c = 0; c < kColumns; ++c) {
      const int64_t block = c / 16 % 8;
      const std::array<uint32_t, 4> words =
          Philox4x32(dropout.key, {static_cast<uint32_t>(c / 128 * 16 + c % 16),
                                   dropout.first_token + static_cast<uint32_t>(n), 0, 0});
      const uint32_t bits = words[block / 2] >> (block % 2 * 16) & 0xffff;
      expected.push_back(bits < 0.25 * 65536 ? 0 : (x[n * kColumns + c] + bias[c]) / 0.75);
    }
  }
  CHECK(WorstError(y, expected) < 1e-6);
}

TEST_CASE("the share of elements that are kept is the one asked for") {
  const auto device = MakeDevice();
  const std::vector<float> ones(kRows * kColumns, 1.0f);
  for (float rate : {0.0f, 0.1f, 0.5f, 0.9f}) {
    double kept = 0, mean = 0;
    for (float y : Run(*device, MakeDropout(rate), ones)) {
      kept += y != 0;
      mean += y;
    }
    const double n = kRows * kColumns, deviation = std::sqrt(rate * (1 - rate) / n);
    CHECK(std::abs(kept / n - (1 - rate)) <= 4 * deviation);
    CHECK(std::abs(mean / n - 1) <= 4 * deviation / (1 - rate) + 1e-6);
  }
}

TEST_CASE("masks do not depend on how rows are cut into micro-batches") {
  const auto device = MakeDevice();
  const auto x = Numbers(kRows * kColumns, 1);
  const Dropout dropout = MakeDropout(0.1f);
  const auto whole = Run(*device, dropout, x);
  const int64_t cut = 33 * kColumns;
  const auto first = Run(*device, dropout, {x.begin(), x.begin() + cut});
  const auto rest = Run(*device, FromRow(dropout, 33), {x.begin() + cut, x.end()});
  CHECK(SameBits(whole, Joined({first, rest})));
}

TEST_CASE("another key drops other elements") {
  const auto device = MakeDevice();
  const std::vector<float> ones(kRows * kColumns, 1.0f);
  Dropout other = MakeDropout(0.5f);
  other.key ^= 1;
  const auto a = Run(*device, MakeDropout(0.5f), ones), b = Run(*device, other, ones);
  int64_t differ = 0;
  for (size_t i = 0; i < a.size(); ++i) differ += a[i] != b[i];
  CHECK(differ > kRows * kColumns * 2 / 5);
  CHECK(differ < kRows * kColumns * 3 / 5);
}

TEST_CASE("dropout has the same bits on any number of threads and instruction set") {
  const auto x = Numbers(kRows * kColumns, 1), bias = Numbers(kColumns, 2);
  CheckSameBitsEverywhere([&](Device& device) { return Run(device, MakeDropout(0.1f), x, bias); });
}

}  // namespace
}  // namespace shoal::kernels
