// Matrix products with defined bits.
//
// Definition (f32): K is cut into blocks of kGemmBlockK; the last may be shorter. Inside a block each output
// is one chain of fused multiply-adds in order of k, starting from +0. The blocks are added in order: the
// first is stored, or with `accumulate` added to what C holds. Then the bias is added. So the bits do not
// depend on threads, tiles, instruction set or path.
//
// Definition (bf16): A is bf16; B is bf16 too or is rounded to it (to nearest even). K is cut as above.
// Inside a block each output is one chain of FMAs in f32 in order of the pairs of k (0,1), (2,3), ..., the
// odd one of each pair first: this is what AVX512_BF16's instruction does, and what any processor with FMA
// can do. The blocks are added in order in f32, then the bias, then the sum is rounded to C's type. Denormal
// numbers count as 0 throughout. This is the numerics class "avx512-bf16".
//
// Definition (bf16, class "amx-bf16"): K is cut into steps of kGemmStepK, the last one padded with zeros.
// Inside a step each output is two chains of FMAs in f32 from +0, over the even and over the odd k; their sum
// is added to the output, which starts as +0, or with `accumulate` as what C holds. Bias, rounding and
// denormals as above. This is what AMX's TDPBF16PS does according to Intel's Software Developer's Manual,
// volume 2 (the Intrinsics Guide shows one chain). Only processors with AMX compute it.
#pragma once

#include <cstdint>

#include "kernels/device.h"
#include "kernels/tensor.h"

namespace shoal::kernels {

// The blocks of K in the definition, and the steps of amx-bf16.
inline constexpr int64_t kGemmBlockK = 384;
inline constexpr int64_t kGemmStepK = 32;

// C[M,N] = op(A)[M,K] op(B)[K,N] (+ C) (+ bias).   M, N: rows and columns of C; K: the dimension that is
// summed over. Views may have row strides. C aliases neither A nor B.
//
// A linear layer y = x W^T + b, with x [N_tokens,C] and W [F,C] as PyTorch stores it:
//   forward:         a = x,  b = W, c = y, trans_b, bias
//   input gradient:  a = dy, b = W, c = dx
//   weight gradient: a = dy, b = x, c = dW, trans_a, accumulate   (tokens are K)
struct GemmArgs {
  ConstTensor a;  // [M,K], or [K,M] with trans_a; f32|bf16
  ConstTensor b;  // [K,N], or [N,K] with trans_b; the type of a, or f32 with a bf16 a
  Tensor c;       // [M,N] f32, or bf16 when a is bf16 (then without accumulate)
  bool trans_a = false;
  bool trans_b = false;
  bool accumulate = false;  // add to C instead of replacing it
  ConstTensor bias;         // [N] f32, added to each row; optional
};

// Runs on all threads of the device. Shapes and types must fit (checked). M, N or K may be 0: with K = 0, C
// becomes 0 (or is kept, with `accumulate`), plus the bias.
void Gemm(Device& device, const GemmArgs& args);

}  // namespace shoal::kernels
