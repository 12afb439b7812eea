// What attention does to a tile of scores between its matrix products. Internal to attention.
#pragma once

#include <cstdint>

#include "kernels/tensor.h"

namespace shoal {

// A tile of scores of one head of one example: queries [first_query, first_query + queries) against keys
// [first_key, first_key + keys). Rows of the tile are kAttentionKeyTile elements apart and may be read and
// written to their end.
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

  // How many of the tile's keys the query in row `row` attends to: the first ones.
  int64_t KeysOf(int64_t row) const {
    if (!causal) return keys;
    const int64_t visible = first_query + row - first_key + 1;
    return visible < 0 ? 0 : visible < keys ? visible : keys;
  }
};

// Scores become probabilities that are not yet divided by their sum, with dropout. The running maximum and
// sum of each row are brought up to date; rescale[row] is what earlier tiles' results must be multiplied by.
// At the first tile maximum is -infinity and sum 0.
void SoftmaxTile(const AttentionTile& tile, float* scores, float* maximum, float* sum, float* rescale);

// Scores become probabilities with dropout, and d_probabilities (gradients of those) become gradients of the
// products of queries and keys. delta[row] is the sum over the row's channels of out * d_out.
void SoftmaxBackwardTile(const AttentionTile& tile, const float* maximum, const float* inverse_sum,
                         const float* delta, float* scores, float* d_probabilities);

// x[row, i] *= factor[row]. x: a matrix.
void ScaleRows(const Tensor& x, const float* factor);

// dots[row] = sum of x[row, i] * y[row, i], in 16 interleaved sums. x, y: matrices of one shape.
void RowDots(const ConstTensor& x, const ConstTensor& y, float* dots);

}  // namespace shoal
