#include "common/base/permutation.h"

#include <vector>

#include "catch2/catch.hpp"
#include "common/base/philox.h"

namespace shoal {
namespace {

bool IsBijection(const Permutation& permutation) {
  std::vector<bool> seen(permutation.size(), false);
  for (uint64_t i = 0; i < permutation.size(); ++i) {
    const uint64_t element = permutation[i];
    if (element >= permutation.size() || seen[element]) return false;
    seen[element] = true;
  }
  return true;
}

TEST_CASE("Every element occurs exactly once, whatever the size") {
  for (uint64_t n = 1; n <= 300; ++n) REQUIRE(IsBijection(Permutation(n, n)));
  for (uint64_t n : {1023, 1024, 1025, 2047, 2049, 65537, 100000}) REQUIRE(IsBijection(Permutation(7, n)));
}

TEST_CASE("Huge sizes stay in range") {
  const uint64_t huge = (uint64_t{1} << 63) + 12345;
  for (uint64_t n : {huge, ~uint64_t{0}, uint64_t{1} << 40}) {
    const Permutation permutation(1, n);
    for (uint64_t i : {uint64_t{0}, n / 2, n - 1}) CHECK(permutation[i] < n);
    CHECK(permutation[0] != permutation[1]);
  }
}

// Has expected value (n - 1)^2 for a uniform choice.
double ChiSquaredOfPlaces(uint64_t n, int keys) {
  std::vector<int> counts(n * n, 0);
  for (int key = 0; key < keys; ++key) {
    const Permutation permutation(DeriveKey(key, "test"), n);
    for (uint64_t i = 0; i < n; ++i) ++counts[i * n + permutation[i]];
  }
  const double expected = static_cast<double>(keys) / static_cast<double>(n);
  double chi_squared = 0;
  for (int count : counts) chi_squared += (count - expected) * (count - expected) / expected;
  return chi_squared;
}

TEST_CASE("Over the keys, every element is equally likely at every position") {
  CHECK(ChiSquaredOfPlaces(2, 4000) < 11);     // 1 degree of freedom
  CHECK(ChiSquaredOfPlaces(5, 4000) < 40);     // 16
  CHECK(ChiSquaredOfPlaces(16, 4000) < 300);   // 225
  CHECK(ChiSquaredOfPlaces(70, 2000) < 5100);  // 4761
}

TEST_CASE("Neighbours don't stay together") {
  constexpr uint64_t kN = 10000;
  const Permutation permutation(3, kN);
  int together = 0;
  for (uint64_t i = 0; i + 1 < kN; ++i) together += permutation[i] + 1 == permutation[i + 1] ? 1 : 0;
  CHECK(together < 10);  // one is expected
}

TEST_CASE("The order never changes, because checkpoints of old jobs must resume to the same bits") {
  const Permutation permutation(42, 10);
  std::vector<uint64_t> order;
  for (uint64_t i = 0; i < 10; ++i) order.push_back(permutation[i]);
  CHECK(order == std::vector<uint64_t>{0, 8, 9, 4, 3, 5, 1, 7, 6, 2});
}

}  // namespace
}  // namespace shoal
