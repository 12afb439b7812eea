// Dropout of activations. Which elements are kept is a pure function of a key and the element's position, so
// backward draws the same mask again and no mask is stored.
#pragma once

#include <cstdint>

#include "kernels/device.h"
#include "kernels/tensor.h"

namespace shoal::kernels {

// An element of [N,C] is kept with probability 1 - rate and then divided by that. Its 16 random bits come
// from Philox4x32-10 (Salmon et al., 2011) under `key` and depend on (first_token + row, column) alone.
struct Dropout {
  float rate = 0;            // 0 <= rate < 1, in steps of 2^-16; 0: none
  uint64_t key = 0;          // derived from (seed, purpose, round, slot, layer)
  uint32_t first_token = 0;  // index of row 0 in the slot: micro-batches draw different masks
};

// The dropout for the rows from `row` on.
inline Dropout FromRow(Dropout dropout, int64_t row) {
  dropout.first_token += static_cast<uint32_t>(row);
  return dropout;
}

struct DropoutArgs {
  Dropout dropout;
  ConstTensor x;     // [N,C] f32|bf16
  ConstTensor bias;  // [C] f32, added to each row of x first; optional
  Tensor y;          // [N,C] out, the type of x; may alias x
};

// y = dropout(x + bias). Without bias it is its own backward: dx = ApplyDropout(dy).
void ApplyDropout(Device& device, const DropoutArgs& args);

}  // namespace shoal::kernels
