// The check at startup: does a GEMM path meet the definition on this processor? Internal to the GEMM.
#pragma once

#include <string>

#include "absl/functional/function_ref.h"
#include "kernels/cpu/gemm/gemm_problem.h"

namespace shoal::kernels {

// Runs `multiply` (C = or += op(A) op(B), no bias, A of `type`, C in f32, in `bf16_class` if `type` is bf16)
// on a few shapes, including odd sizes, transposes, K beyond one block and accumulation, and compares the
// bits with plain loops. Takes milliseconds. Returns "" when all are equal, otherwise the first shape that
// differs, for the log.
std::string CheckGemm(DType type, Bf16Class bf16_class, absl::FunctionRef<void(const GemmProblem&)> multiply);

}  // namespace shoal::kernels
