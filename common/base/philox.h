// Random numbers as pure functions: Philox4x32-10 (Salmon, Moraes, Dror and Shaw: "Parallel random numbers:
// as easy as 1, 2, 3", SC 2011).
//
// A key comes from (seed, purpose, indices); under a key, each counter yields four 32-bit words. So any
// number can be drawn anywhere at any time, and there is no state to save.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>

#include "absl/strings/string_view.h"

namespace shoal {

using PhiloxBlock = std::array<uint32_t, 4>;

// Four random words for a counter. Key words are the low and the high half of `key`.
constexpr PhiloxBlock Philox4x32(uint64_t key, PhiloxBlock counter) {
  uint32_t key0 = static_cast<uint32_t>(key), key1 = static_cast<uint32_t>(key >> 32);
  uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
  for (int round = 0; round < 10; ++round) {
    const uint64_t product0 = uint64_t{0xD2511F53} * c0;
    const uint64_t product1 = uint64_t{0xCD9E8D57} * c2;
    c0 = static_cast<uint32_t>(product1 >> 32) ^ c1 ^ key0;
    c1 = static_cast<uint32_t>(product1);
    c2 = static_cast<uint32_t>(product0 >> 32) ^ c3 ^ key1;
    c3 = static_cast<uint32_t>(product0);
    key0 += 0x9E3779B9u;
    key1 += 0xBB67AE85u;
  }
  return {c0, c1, c2, c3};
}

// The key for `purpose` ("dropout", "shuffle", a parameter's name) at `indices` (round, slot, layer, ...).
// Different arguments give unrelated keys. A chain of SplitMix64's mixing function (Steele, Lea and Flood,
// 2014).
uint64_t DeriveKey(uint64_t seed, absl::string_view purpose, std::initializer_list<uint64_t> indices = {});

// Word `index` of the sequence under `key`: word index % 4 of the counter {low, high of index / 4, 0, 0}.
inline uint32_t UniformBits(uint64_t key, uint64_t index) {
  const uint64_t counter = index / 4;
  return Philox4x32(key,
                    {static_cast<uint32_t>(counter), static_cast<uint32_t>(counter >> 32), 0, 0})[index % 4];
}

// 24 random bits as a float in [0, 1).
constexpr float ToUniformFloat(uint32_t bits) { return static_cast<float>(bits >> 8) * 0x1p-24f; }

// The same sequence as UniformBits(key, 0), UniformBits(key, 1), ..., read in sequence.
// Not thread-safe; cheap to make and to copy.
class PhiloxStream {
 public:
  explicit PhiloxStream(uint64_t key) : key_(key) {}

  uint32_t Next32();
  uint64_t Next64();                                      // low word first
  float NextFloat() { return ToUniformFloat(Next32()); }  // [0, 1)
  double NextDouble();                                    // [0, 1), 53 random bits

  // Uniform over [0, n) without bias, n >= 1. Draws 64 bits, more in rare cases (Lemire: "Fast random integer
  // generation in an interval", 2019).
  uint64_t UniformInt(uint64_t n);

 private:
  uint64_t key_;
  uint64_t next_ = 0;  // index of the next word
  PhiloxBlock block_ = {};
};

}  // namespace shoal
