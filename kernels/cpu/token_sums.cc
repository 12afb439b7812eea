#include "kernels/cpu/token_sums.h"

#include <algorithm>

namespace shoal::kernels {
namespace {

constexpr int64_t kLine = 16;            // floats in a cache line
constexpr int64_t kColumnsOfItem = 256;  // per item of a loop over channels

int64_t RoundUp(int64_t n, int64_t multiple) { return CutCount(n, multiple) * multiple; }

}  // namespace

TokenBlocks::TokenBlocks(CpuDevice& device, int64_t tokens, int64_t channels, int64_t vectors)
    : device_(device),
      tokens_(tokens),
      channels_(channels),
      stride_(RoundUp(channels, kLine)),
      count_(CutCount(tokens, kTokenBlock)),
      partials_(reinterpret_cast<float*>(
          device.scratch().Shared(count_ * vectors * stride_ * static_cast<int64_t>(sizeof(float))))) {}

int64_t TokenBlocks::end(int64_t block) const { return std::min(tokens_, (block + 1) * kTokenBlock); }

float* TokenBlocks::Partial(int64_t block, int64_t vector) const {
  return partials_ + (vector * count_ + block) * stride_;
}

void TokenBlocks::AddTo(int64_t vector, float* sums) {
  if (sums == nullptr || count_ == 0) return;
  device_.pool().ParallelFor(CutCount(channels_, kColumnsOfItem), [&](int64_t item, int) {
    const int64_t begin = item * kColumnsOfItem, end = std::min(channels_, begin + kColumnsOfItem);
    float totals[kColumnsOfItem] = {};
    for (int64_t block = 0; block < count_; ++block) {
      const float* partial = Partial(block, vector);
      for (int64_t c = begin; c < end; ++c) totals[c - begin] += partial[c];
    }
    for (int64_t c = begin; c < end; ++c) sums[c] += totals[c - begin];
  });
}

}  // namespace shoal::kernels
