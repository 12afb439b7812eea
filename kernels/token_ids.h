// Ids that follow from where the examples of a packed batch begin: positions and labels of its tokens.
//
// N: tokens of the batch, B: examples. Tokens of example b are [offsets[b], offsets[b+1]).
#pragma once

#include <cstdint>

#include "kernels/device.h"
#include "kernels/tensor.h"

namespace shoal::kernels {

// The label of a row that has none; losses (loss.h) take any negative label as none.
inline constexpr int32_t kNoLabel = -100;

// positions[n] = first + (n - offsets[b]) for token n of example b. No example may be empty or have more than
// `longest` tokens (checked).
struct TokenPositionsArgs {
  ConstTensor offsets;  // [B+1] i32
  int64_t first = 0;
  int64_t longest = 0;
  Tensor positions;  // [N] i32 out
};

void TokenPositions(Device& device, const TokenPositionsArgs& args);

// labels[n] = tokens[n+1], and kNoLabel for the last token of each example. No example may be empty.
//   tokens [N] i32, offsets [B+1] i32, labels [N] i32 out; aliases nothing
void NextTokenLabels(Device& device, const ConstTensor& tokens, const ConstTensor& offsets,
                     const Tensor& labels);

}  // namespace shoal::kernels
