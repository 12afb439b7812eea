// Sums over tokens, cut in fixed blocks: each block is added in order of its tokens from 0, blocks are added
// in order, and the total to what the result holds. Part of the definition of our bits.
#pragma once

#include <cstdint>

#include "kernels/device.h"

namespace shoal {

// Tokens of a block.
inline constexpr int64_t kTokenBlock = 64;

// Partial sums of a kernel that visits blocks of tokens in any order: `vectors` sums of `channels` each a
// block. They live in the device's shared scratch memory until the kernel ends.
class TokenBlocks {
 public:
  TokenBlocks(Device& device, int64_t tokens, int64_t channels, int64_t vectors);

  int64_t count() const { return count_; }
  int64_t begin(int64_t block) const { return block * kTokenBlock; }
  int64_t end(int64_t block) const;
  // The [channels] partial sums of a block, aligned to a cache line. Not set to 0.
  float* Partial(int64_t block, int64_t vector) const;
  // sums[c] += the blocks' partial sums; does nothing when `sums` is null.
  void AddTo(int64_t vector, float* sums);

 private:
  Device& device_;
  int64_t tokens_;
  int64_t channels_;
  int64_t stride_;  // channels, rounded up to whole cache lines
  int64_t vectors_;
  int64_t count_;
  float* partials_;
};

}  // namespace shoal
