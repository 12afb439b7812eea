// Ids that follow from a packed batch's tokens and where its examples begin: positions, labels, n-grams.
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

// ids[n] = the bucket of the n-gram that ends with token n: of the tokens n - length + 1 to n of its example,
// where those before its start are all the same, one that is not in the vocabulary. Buckets are shared by
// whatever the hash sends there: a chain of SplitMix64's mixing function (Steele, Lea and Flood, 2014) over
// `length` and the tokens.
struct NgramIdsArgs {
  ConstTensor tokens;   // [N] i32
  ConstTensor offsets;  // [B+1] i32
  int length = 2;
  int64_t buckets = 1;  // below 2^31
  Tensor ids;           // [N] i32 out, in [0,buckets); aliases nothing
};

void NgramIds(Device& device, const NgramIdsArgs& args);

}  // namespace shoal::kernels
