// bf16 on processors without AVX512_BF16. That instruction adds the product of the odd element of a pair of k
// and then that of the even one, both with FMA, so an f32 product of the widened elements in that order has
// the same bits.
#include <algorithm>

#include "kernels/cpu/gemm/flush_denormals.h"
#include "kernels/cpu/gemm/gemm_bf16_avx512.h"
#include "kernels/cpu/gemm/gemm_finish.h"
#include "kernels/cpu/gemm/gemm_own.h"

namespace shoal::kernels {
namespace {

constexpr int64_t kMaxRows = 16;  // per panel of A, on any instruction set
constexpr int64_t kMaxColumns = 32;

int64_t RoundUpToPair(int64_t k) { return (k + 1) / 2 * 2; }

float Rounded(float x) { return RoundOperand(x); }
float Rounded(Bf16 x) { return ToFloat(x); }

// The element that element `i` of a block of K comes from; at an odd end, one past it.
int64_t Swapped(int64_t i) { return i ^ 1; }

template <typename T>
void WidenB(const GemmProblem& problem, Range k, Range n, float* to) {
  for (int64_t i = 0; i < RoundUpToPair(k.size()); ++i, to += n.size()) {
    const int64_t kk = k.begin + Swapped(i);
    for (int64_t j = 0; j < n.size(); ++j)
      to[j] = kk < k.end ? Rounded(*problem.B<T>(kk, n.begin + j)) : 0.0f;
  }
}

void PackB(const GemmProblem& problem, Range k, Range n, void* packed) {
  float wide[kGemmBlockK * kMaxColumns];
  const int64_t panel = F32Kernel().panel_columns, rounded = RoundUpToPair(k.size());
  auto* to = static_cast<float*>(packed);
  for (int64_t j = n.begin; j < n.end; j += panel, to += rounded * panel) {
    const Range columns = {j, std::min(n.end, j + panel)};
    problem.b_type == DType::kBf16 ? WidenB<Bf16>(problem, k, columns, wide)
                                   : WidenB<float>(problem, k, columns, wide);
    GemmProblem f32;
    f32.b = wide;
    f32.ldb = f32.n = columns.size();
    f32.k = rounded;
    OwnPackB(f32, {0, rounded}, {0, columns.size()}, to);
  }
}

void Multiply(const GemmProblem& problem, const GemmSums& sums, Range m, Range n, Range k, const void* packed,
              void* scratch) {
  const FlushDenormals flush;
  float wide[kMaxRows * kGemmBlockK];
  const int64_t panel = F32Kernel().panel_rows, rounded = RoundUpToPair(k.size());
  GemmProblem f32;
  f32.a = wide;
  f32.lda = f32.k = rounded;
  for (int64_t row = m.begin; row < m.end; row += panel) {
    f32.m = std::min(panel, m.end - row);
    for (int64_t i = 0; i < f32.m; ++i) {
      for (int64_t kk = 0; kk < rounded; ++kk) {
        const int64_t from = k.begin + Swapped(kk);
        wide[i * rounded + kk] = from < k.end ? Rounded(*problem.A<Bf16>(row + i, from)) : 0.0f;
      }
    }
    f32.c = sums.At(row, 0);  // its sums are its C and it has no bias: nothing is left to finish
    OwnMultiply(f32, {sums.At(row, 0), sums.stride, sums.add}, {0, f32.m}, n, {0, rounded}, packed, scratch);
  }
  if (k.end == problem.k) FinishTile(PartOf(problem, m, n), sums.At(m.begin, n.begin), sums.stride);
}

}  // namespace

GemmKernel Bf16Kernel(Isa isa) {
  if (isa >= Isa::kAvx512Bf16) return Avx512Bf16Kernel();
  GemmKernel kernel = F32Kernel();
  kernel.k_unit = 2;
  kernel.pack_b = &PackB;
  kernel.multiply = &Multiply;
  return kernel;
}

}  // namespace shoal::kernels
