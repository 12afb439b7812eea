// Operands of the bf16 products, packed with AVX-512 and AVX512_BF16. Internal to the GEMM.
//
// A pair is the elements of two consecutive k, side by side. Elements past the end of k are 0.
#pragma once

#include "kernels/cpu/gemm/gemm_problem.h"

namespace shoal::kernels {

// A packed panel of B: for each pair, its columns one after another.
inline constexpr int64_t kBf16PanelColumns = 32;
inline constexpr int64_t kBf16PairColumns = 2 * kBf16PanelColumns;  // elements of a pair in all columns

// op(B)[k,n] as panels, k rounded up to `k_unit` (even), columns to whole panels. B is bf16, or f32 and
// rounded.
void PackBf16B(const GemmProblem& problem, Range k, Range n, int64_t k_unit, Bf16* packed);

// Rows of A[m,k], kGemmBlockK elements apart, k rounded up to 32. From a stored [M,K]:
void PackBf16Rows(const GemmProblem& problem, Range m, Range k, Bf16* panel);
// and from a stored [K,M]: rows are rounded up to 16, those past the end undefined.
void PackBf16Columns(const GemmProblem& problem, Range m, Range k, Bf16* panel);

// From a stored [K,M]: for each pair 16 rows, from m.begin on; those past the end of m are undefined.
void PackBf16Pairs(const GemmProblem& problem, Range m, Range k, Bf16* panel);

}  // namespace shoal::kernels
