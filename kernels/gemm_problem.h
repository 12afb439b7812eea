// A matrix product of f32 as the paths of the GEMM take it: pointers and strides, checked by gemm.cc.
// Internal to the GEMM.
#pragma once

#include <algorithm>
#include <cstdint>

namespace shoal {

// The blocks of K that the definition in gemm.h is about.
inline constexpr int64_t kGemmBlockK = 384;

struct GemmProblem {
  const float* a = nullptr;
  const float* b = nullptr;
  float* c = nullptr;
  int64_t lda = 0;  // elements from row to row, as stored
  int64_t ldb = 0;
  int64_t ldc = 0;
  int64_t m = 0;
  int64_t n = 0;
  int64_t k = 0;
  bool trans_a = false;  // a is [K,M]
  bool trans_b = false;  // b is [N,K]
  bool accumulate = false;
  const float* bias = nullptr;  // [N] or none

  // op(A)[i,k] and op(B)[k,j].
  const float* A(int64_t i, int64_t kk) const { return trans_a ? a + kk * lda + i : a + i * lda + kk; }
  const float* B(int64_t kk, int64_t j) const { return trans_b ? b + j * ldb + kk : b + kk * ldb + j; }
  float* C(int64_t i, int64_t j) const { return c + i * ldc + j; }
};

// [begin, end) of a dimension.
struct Range {
  int64_t begin = 0;
  int64_t end = 0;
  int64_t size() const { return end - begin; }
};

// Piece `index` of [0, n) cut by `grain`.
inline Range Piece(int64_t index, int64_t grain, int64_t n) {
  return {index * grain, std::min(n, (index + 1) * grain)};
}

}  // namespace shoal
