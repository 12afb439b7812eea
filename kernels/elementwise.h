// Elementwise operations, and sums over tokens (in blocks: token_blocks.h).
#pragma once

#include "absl/types/span.h"
#include "kernels/device.h"
#include "kernels/tensor.h"

namespace shoal::kernels {

// y = a + b. Matrices or vectors of one shape and type, f32|bf16; y may alias either.
void Add(Device& device, const ConstTensor& a, const ConstTensor& b, const Tensor& y);

// y = x * factor. Shapes and types as for Add.
void Scale(Device& device, const ConstTensor& x, float factor, const Tensor& y);

// x = 0, of any type.
void SetZero(Device& device, const Tensor& x);

// y = x, converted where the types differ (f32 and bf16, to nearest even). The shapes are equal.
void Convert(Device& device, const ConstTensor& x, const Tensor& y);

// out = the elements of x in order, converted to f32, in the caller's memory.
//   x: a matrix of f32|bf16; out: the same number of elements
void CopyToHost(Device& device, const ConstTensor& x, absl::Span<float> out);

// sums[c] += sum over rows n of x[n,c], in blocks of kTokenBlock: a bias gradient.
//   x [N,C] f32|bf16 (may be columns of a wider matrix), sums [C] f32 in/out
void AddColumnSums(Device& device, const ConstTensor& x, const Tensor& sums);

// What the sum of an example's rows is divided by.
enum class RowDivisor {
  kTokens,        // their number: the mean
  kRootOfTokens,  // its square root, which keeps the variance of rows that are independent
};

// y[b] = sum of the rows [offsets[b], offsets[b+1]) of x, added in order in blocks of kTokenBlock, divided by
// the divisor.
//   x [N,C] f32|bf16, offsets [B+1] i32, no example empty, y [B,C] of the type of x
void PoolRows(Device& device, const ConstTensor& x, const ConstTensor& offsets, RowDivisor divisor,
              const Tensor& y);

// Backward of PoolRows: d_x[n] = d_y[b] / divisor.
void PoolRowsBackward(Device& device, const ConstTensor& d_y, const ConstTensor& offsets, RowDivisor divisor,
                      const Tensor& d_x);

}  // namespace shoal::kernels
