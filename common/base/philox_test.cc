#include "common/base/philox.h"

#include <set>
#include <string>
#include <vector>

#include "catch2/catch.hpp"

namespace shoal {
namespace {

TEST_CASE("Philox4x32-10 gives the known answers of Random123") {
  CHECK(Philox4x32(0, {0, 0, 0, 0}) == PhiloxBlock{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  CHECK(Philox4x32(~uint64_t{0}, {~0u, ~0u, ~0u, ~0u}) ==
        PhiloxBlock{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  // Key words a4093822 299f31d0.
  CHECK(Philox4x32(0x299f31d0a4093822, {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}) ==
        PhiloxBlock{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

TEST_CASE("Keys of different seeds, purposes and indices differ") {
  std::set<uint64_t> keys;
  int drawn = 0;
  for (uint64_t seed = 0; seed < 8; ++seed) {
    for (const char* purpose : {"", "a", "b", "dropout", "dropouts", "a purpose of more than eight bytes"}) {
      for (uint64_t i = 0; i < 8; ++i) {
        for (const uint64_t key : {DeriveKey(seed, purpose, {i}), DeriveKey(seed, purpose, {i, 0}),
                                   DeriveKey(seed, purpose, {0, 1, i})}) {
          keys.insert(key);
          ++drawn;
        }
      }
      keys.insert(DeriveKey(seed, purpose));
      ++drawn;
    }
  }
  CHECK(keys.size() == drawn);
  CHECK(DeriveKey(1, "ab") != DeriveKey(1, "a", {'b'}));
  CHECK(DeriveKey(1, std::string("a\0", 2)) != DeriveKey(1, "a"));
}

TEST_CASE("Keys never change, because checkpoints of old jobs must resume to the same bits") {
  CHECK(DeriveKey(0, "") == 0x238275bc38fcbe91);
  CHECK(DeriveKey(42, "dropout", {1, 2, 3}) == 0x2c0baa6006715158);
}

TEST_CASE("A stream is the sequence of UniformBits") {
  PhiloxStream stream(99);
  for (uint64_t i = 0; i < 50; ++i) CHECK(stream.Next32() == UniformBits(99, i));
  const uint64_t low = UniformBits(99, 50), high = UniformBits(99, 51);
  CHECK(stream.Next64() == (high << 32 | low));
}

TEST_CASE("Floats are in [0, 1) and have the mean and variance of the uniform distribution") {
  CHECK(ToUniformFloat(0) == 0.0f);
  CHECK(ToUniformFloat(~0u) == 1.0f - 0x1p-24f);
  PhiloxStream stream(3);
  double sum = 0, squares = 0;
  constexpr int kDraws = 100000;
  for (int i = 0; i < kDraws; ++i) {
    const double value = i % 2 == 0 ? stream.NextFloat() : stream.NextDouble();
    REQUIRE((value >= 0 && value < 1));
    sum += value;
    squares += value * value;
  }
  // Six standard errors.
  CHECK(sum / kDraws == Approx(0.5).margin(6 * 0.2887 / 316));
  CHECK(squares / kDraws == Approx(1.0 / 3).margin(6 * 0.2981 / 316));
}

TEST_CASE("UniformInt hits every number below n equally often") {
  PhiloxStream stream(4);
  std::vector<int> counts(7, 0);
  for (int i = 0; i < 70000; ++i) ++counts[stream.UniformInt(7)];
  double chi_squared = 0;
  for (int count : counts) chi_squared += (count - 10000.0) * (count - 10000.0) / 10000.0;
  CHECK(chi_squared < 22.5);  // 6 degrees of freedom: 0.999 quantile
  CHECK(stream.UniformInt(1) == 0);
}

TEST_CASE("UniformInt has no bias where 64 bits are barely enough") {
  // Three quarters of 2^64: without redrawing, a third of the results would come twice as often.
  constexpr uint64_t kN = uint64_t{3} << 62;
  PhiloxStream stream(5);
  std::vector<int> thirds(3, 0);
  for (int i = 0; i < 30000; ++i) ++thirds[stream.UniformInt(kN) / (uint64_t{1} << 62)];
  for (int count : thirds) CHECK(count == Approx(10000).margin(500));  // six standard deviations
}

}  // namespace
}  // namespace shoal
