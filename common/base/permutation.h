// A keyed permutation with random access: the order of examples in an epoch.
#pragma once

#include <cstdint>

namespace shoal {

// A pseudo-random permutation of [0, n), a pure function of (key, n). Element i is computed in constant time
// without a table: a Feistel network over the fewest bits that hold n, with Philox as its round function,
// iterated until the result falls below n (Black and Rogaway: "Ciphers with arbitrary finite domains", 2002).
// Immutable; any thread.
class Permutation {
 public:
  // `n` >= 1. Keys come from DeriveKey (common/base/philox.h).
  Permutation(uint64_t key, uint64_t n);

  uint64_t size() const { return n_; }

  // The element at position i < size(). About 0.2 µs.
  uint64_t operator[](uint64_t i) const;

 private:
  uint64_t Encrypt(uint64_t value) const;

  uint64_t key_;
  uint64_t n_;
  int left_bits_;
  int right_bits_;
};

}  // namespace shoal
