// Multi-head self-attention over packed examples, forward and backward, f32 or bf16 (whose scores, sums and
// statistics are f32; probabilities are rounded to bf16 for their products).
//
// Tiled per head (Dao et al., "FlashAttention", 2022): memory for scores is one tile per thread, never
// [B,H,T,T]; backward recomputes the probabilities. The tiles are constants, so the running maximum, the
// rescaling and the order of sums are part of the definition, as are 16 interleaved partial sums over the
// keys of a tile (kernels/README.md). Products follow kernels/gemm.h.
#pragma once

#include <cstdint>

#include "absl/types/span.h"
#include "kernels/device.h"
#include "kernels/tensor.h"

namespace shoal::kernels {

inline constexpr int64_t kAttentionKeyTile = 128;
inline constexpr int64_t kAttentionQueryTile = 128;

// Dropout of attention probabilities. The mask is a pure function of (key, first_example + b, h, length of
// the example, query, key position), so backward draws the same one. Each probability is kept with
// probability 1 - rate (rate in steps of 2^-16) and then divided by 1 - rate. The generator is Philox4x32-10
// (Salmon et al., 2011).
struct AttentionDropout {
  float rate = 0;              // 0 <= rate < 1; 0: none
  uint64_t key = 0;            // Philox key, derived from (seed, purpose, round, slot, layer)
  uint32_t first_example = 0;  // index of the first example in the slot: micro-batches draw different masks
};

// N: tokens of the batch, B: examples, H: heads, D: channels of a head (C = H D)
// Tokens of example b are rows [offsets[b], offsets[b+1]). Each attends to its own example only.
struct AttentionShape {
  int64_t heads = 0;
  int64_t head_dim = 0;
  bool causal = false;  // a token attends to itself and to the tokens before it
  float scale = 0;      // of scores; 0 means 1/sqrt(D)
  AttentionDropout dropout;
  absl::Span<const int32_t> offsets;  // [B+1], starts at 0, never decreases, ends with N
  // [B]: only this many of an example's tokens, from its first on, are attended to; at least 1. Empty: all.
  absl::Span<const int32_t> attended;
};

struct AttentionForwardArgs {
  AttentionShape shape;
  ConstTensor qkv;    // [N,3*H*D] f32|bf16: the queries of all heads, then keys, then values
  Tensor out;         // [N,H*D], the type of qkv
  Tensor statistics;  // [N,2*H] f32 out: maximum of the scores of each head, then 1 / sum of
                      // exp(score - maximum) of each head; for backward
};

void AttentionForward(Device& device, const AttentionForwardArgs& args);

struct AttentionBackwardArgs {
  AttentionShape shape;    // as in forward
  ConstTensor qkv;         // [N,3*H*D] as in forward
  ConstTensor out;         // [N,H*D] as forward computed it
  ConstTensor statistics;  // [N,2*H] as forward computed it
  ConstTensor d_out;       // [N,H*D], the type of qkv, as all below
  Tensor d_qkv;            // [N,3*H*D] out; aliases nothing
};

void AttentionBackward(Device& device, const AttentionBackwardArgs& args);

}  // namespace shoal::kernels
