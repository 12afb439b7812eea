// Sums over tokens as kernels of the CPU compute them: in blocks (kernels/token_blocks.h), in parallel.
#pragma once

#include <cstdint>

#include "kernels/cpu/cpu_device.h"
#include "kernels/token_blocks.h"

namespace shoal::kernels {

// Partial sums of a kernel that visits blocks of tokens in any order: for each block, `vectors` sums of
// `channels` elements each. They live in the device's shared scratch memory until the kernel ends.
class TokenBlocks {
 public:
  TokenBlocks(CpuDevice& device, int64_t tokens, int64_t channels, int64_t vectors);

  int64_t count() const { return count_; }
  int64_t begin(int64_t block) const { return block * kTokenBlock; }
  int64_t end(int64_t block) const;
  // The [channels] partial sums of a block, aligned to a cache line. Not initialized.
  float* Partial(int64_t block, int64_t vector) const;
  // sums[c] += the partial sums of all blocks; does nothing when `sums` is null.
  void AddTo(int64_t vector, float* sums);

 private:
  CpuDevice& device_;
  int64_t tokens_;
  int64_t channels_;
  int64_t stride_;  // channels, rounded up to whole cache lines
  int64_t count_;
  float* partials_;
};

}  // namespace shoal::kernels
