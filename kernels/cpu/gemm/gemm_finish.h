// The last step of a tile of C. Internal to the GEMM.
#pragma once

#include "kernels/cpu/gemm/gemm_problem.h"

namespace shoal::kernels {

// C = sums + bias, rounded to C's type. `sums`: [m,n] of the problem, rows `stride` elements apart; may be C
// itself when that is f32.
void FinishTile(const GemmProblem& problem, const float* sums, int64_t stride);

}  // namespace shoal::kernels
