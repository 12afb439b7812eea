// Sums over tokens, cut into fixed blocks: the tokens of each block are added in order from 0, the blocks are
// added in order, and the total is added to what the result holds. This is part of the definition of our
// bits.
#pragma once

#include <cstdint>

namespace shoal::kernels {

// Tokens per block.
inline constexpr int64_t kTokenBlock = 64;

}  // namespace shoal::kernels
