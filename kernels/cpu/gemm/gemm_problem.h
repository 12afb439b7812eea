// A matrix product as the paths of the GEMM take it: pointers and strides, checked by gemm.cc.
// Internal to the GEMM.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "kernels/bf16_class.h"
#include "kernels/gemm.h"
#include "kernels/tensor.h"

namespace shoal::kernels {

struct GemmProblem {
  const void* a = nullptr;
  const void* b = nullptr;
  void* c = nullptr;
  DType a_type = DType::kF32;  // f32: all three are f32; bf16: the arithmetic is that of bf16
  DType b_type = DType::kF32;
  DType c_type = DType::kF32;
  Bf16Class bf16_class = Bf16Class::kAvx512;
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

  // op(A)[i,k], op(B)[k,j] and C[i,j]; T is the operand's type.
  template <typename T>
  const T* A(int64_t i, int64_t kk) const {
    return static_cast<const T*>(a) + (trans_a ? kk * lda + i : i * lda + kk);
  }
  template <typename T>
  const T* B(int64_t kk, int64_t j) const {
    return static_cast<const T*>(b) + (trans_b ? j * ldb + kk : kk * ldb + j);
  }
  template <typename T>
  T* C(int64_t i, int64_t j) const {
    return static_cast<T*>(c) + i * ldc + j;
  }
};

// A finished part of C.
struct GemmTile {
  int64_t row_begin = 0;
  int64_t row_end = 0;
  int64_t column_begin = 0;
  int64_t column_end = 0;
  int thread = 0;  // that computed it
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

// Rounds an f32 operand of a bf16 product: to nearest even, denormals to 0. Works on the bits, since the
// thread may flush denormals.
inline float RoundOperand(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, sizeof(bits));
  return (bits & 0x7F800000u) == 0 ? 0.0f : ToFloat(ToBf16(x));
}

// Rows `m` and columns `n` of C as a product of its own.
inline GemmProblem PartOf(const GemmProblem& problem, Range m, Range n) {
  const auto shift = [](const void* data, int64_t elements, DType type) {
    const auto* const bytes = static_cast<const std::byte*>(data);
    return bytes == nullptr ? nullptr : bytes + elements * SizeOf(type);
  };
  GemmProblem part = problem;
  part.a = shift(problem.a, problem.trans_a ? m.begin : m.begin * problem.lda, problem.a_type);
  part.b = shift(problem.b, problem.trans_b ? n.begin * problem.ldb : n.begin, problem.b_type);
  part.c = const_cast<std::byte*>(shift(problem.c, m.begin * problem.ldc + n.begin, problem.c_type));
  part.bias = problem.bias != nullptr ? problem.bias + n.begin : nullptr;
  part.m = m.size();
  part.n = n.size();
  return part;
}

}  // namespace shoal::kernels
