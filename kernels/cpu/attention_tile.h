// What attention does to a tile of scores between the matrix products. Internal to attention.
#pragma once

#include <cstdint>

#include "kernels/tensor.h"

namespace shoal::kernels {

// A tile of scores of one head of one example: queries [first_query, first_query + queries) against keys
// [first_key, first_key + keys). Rows of the tile are kAttentionKeyTile elements apart and may be read and
// written to that full width.
struct AttentionTile {
  int64_t first_query = 0;
  int64_t queries = 0;
  int64_t first_key = 0;
  int64_t keys = 0;
  int64_t length = 0;  // tokens of the example
  bool causal = false;
  float scale = 1;

  // Dropout: a probability is kept when its 16 random bits are at least `drop_below`.
  uint32_t drop_below = 0;
  float keep_scale = 1;  // 1 / probability to keep
  uint64_t philox_key = 0;
  uint32_t head = 0;
  uint32_t example = 0;

  // The number of keys of the tile, counted from the first, that the query in row `row` attends to.
  int64_t KeysOf(int64_t row) const {
    if (!causal) return keys;
    const int64_t visible = first_query + row - first_key + 1;
    return visible < 0 ? 0 : visible < keys ? visible : keys;
  }
};

// Turns scores [f32] into probabilities that are not yet divided by their sum, with dropout. Updates the
// running maximum and sum of each row; rescale[row] is the factor that results of earlier tiles must be
// multiplied by. At the first tile maximum is -infinity and sum is 0. `probabilities`: a tile of `type`, f32
// or bf16; may be `scores`, which are not kept.
void SoftmaxTile(const AttentionTile& tile, float* scores, DType type, void* probabilities, float* maximum,
                 float* sum, float* rescale);

// Computes the probabilities with dropout and, from their gradients, the gradients of the products of queries
// and keys. Both are tiles of `type` and may overwrite the f32 tiles they are computed from. delta[row] is
// the sum over the row's channels of out * d_out.
struct SoftmaxBackwardArgs {
  const float* maximum = nullptr;
  const float* inverse_sum = nullptr;
  const float* delta = nullptr;
  const float* scores = nullptr;
  const float* d_probabilities = nullptr;
  DType type = DType::kF32;
  void* probabilities = nullptr;  // out
  void* d_scores = nullptr;       // out
};
void SoftmaxBackwardTile(const AttentionTile& tile, const SoftmaxBackwardArgs& args);

// x[row, i] *= factor[row]. x: a matrix of f32.
void ScaleRows(const Tensor& x, const float* factor);

// y[row, i] = x[row, i] * factor[row], or just x when factor is null. x f32, y f32|bf16: matrices of one
// shape.
void StoreRows(const ConstTensor& x, const float* factor, const Tensor& y);

// dots[row] = sum of x[row, i] * y[row, i], in 16 interleaved sums. x, y: matrices of one shape and type.
void RowDots(const ConstTensor& x, const ConstTensor& y, float* dots);

}  // namespace shoal::kernels
