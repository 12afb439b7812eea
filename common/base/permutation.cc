#include "common/base/permutation.h"

#include <algorithm>

#include "common/base/philox.h"
#include "common/base/status.h"

namespace shoal {
namespace {

// Feistel networks over few bits mix badly, so small n use a larger domain.
constexpr int kMinBits = 6;
// Even, so that halves of different widths end where they began.
constexpr uint32_t kRounds = 8;

int BitsFor(uint64_t n) {
  int bits = kMinBits;
  while (bits < 64 && (n - 1) >> bits != 0) ++bits;
  return bits;
}

}  // namespace

Permutation::Permutation(uint64_t key, uint64_t n) : key_(key), n_(n) {
  SHOAL_CHECK(n >= 1);
  const int bits = BitsFor(n);
  left_bits_ = bits / 2;
  right_bits_ = bits - left_bits_;
}

uint64_t Permutation::operator[](uint64_t i) const {
  SHOAL_CHECK(i < n_);
  do {
    i = Encrypt(i);
  } while (i >= n_);
  return i;
}

uint64_t Permutation::Encrypt(uint64_t value) const {
  int left_bits = left_bits_, right_bits = right_bits_;
  uint64_t left = value >> right_bits, right = value & ((uint64_t{1} << right_bits) - 1);
  for (uint32_t round = 0; round < kRounds; ++round) {
    // Halves have at most 32 bits.
    const uint32_t mask = Philox4x32(key_, {static_cast<uint32_t>(right), round, 0, 0})[0];
    const uint64_t mixed = left ^ (mask & ((uint64_t{1} << left_bits) - 1));
    left = right;
    right = mixed;
    std::swap(left_bits, right_bits);
  }
  return left << right_bits | right;
}

}  // namespace shoal
