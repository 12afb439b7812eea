// The definition of gemm.h as plain loops: the oracle of the check at startup and of the tests. Slow.
// Internal to the GEMM.
#pragma once

#include "kernels/cpu/gemm/gemm_problem.h"

namespace shoal::kernels {

void PlainGemm(const GemmProblem& problem);

}  // namespace shoal::kernels
