#include "common/base/philox.h"

#include <cstring>

#include "common/base/status.h"

namespace shoal {
namespace {

// SplitMix64's output function: a bijection of 64-bit words in which each input bit changes half of the
// output bits.
constexpr uint64_t Mix(uint64_t x) {
  x += 0x9E3779B97F4A7C15;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EB;
  return x ^ (x >> 31);
}

}  // namespace

uint64_t DeriveKey(uint64_t seed, absl::string_view purpose, std::initializer_list<uint64_t> indices) {
  uint64_t key = Mix(seed);
  // Lengths are mixed in too: ("ab", {}) and ("a", {'b'}) differ.
  key = Mix(key ^ purpose.size());
  for (size_t i = 0; i < purpose.size(); i += 8) {
    const absl::string_view piece = purpose.substr(i, 8);
    uint64_t word = 0;
    std::memcpy(&word, piece.data(), piece.size());
    key = Mix(key ^ word);
  }
  key = Mix(key ^ indices.size());
  for (uint64_t index : indices) key = Mix(key ^ index);
  return key;
}

uint32_t PhiloxStream::Next32() {
  if (next_ % 4 == 0) {
    const uint64_t counter = next_ / 4;
    block_ = Philox4x32(key_, {static_cast<uint32_t>(counter), static_cast<uint32_t>(counter >> 32), 0, 0});
  }
  return block_[next_++ % 4];
}

uint64_t PhiloxStream::Next64() {
  const uint64_t low = Next32();
  return low | uint64_t{Next32()} << 32;
}

double PhiloxStream::NextDouble() { return static_cast<double>(Next64() >> 11) * 0x1p-53; }

uint64_t PhiloxStream::UniformInt(uint64_t n) {
  SHOAL_CHECK(n >= 1);
  using Wide = unsigned __int128;
  Wide product = Wide{Next64()} * n;
  if (static_cast<uint64_t>(product) < n) {
    // Redraws the 2^64 % n words of the 2^64 that would make some results likelier.
    const uint64_t excess = (0 - n) % n;
    while (static_cast<uint64_t>(product) < excess) product = Wide{Next64()} * n;
  }
  return static_cast<uint64_t>(product >> 64);
}

}  // namespace shoal
