// The check at start: does a GEMM path meet the definition on this processor? Internal to the device.
#pragma once

#include <string>

#include "absl/functional/function_ref.h"
#include "kernels/gemm_problem.h"

namespace shoal {

// Runs `multiply` (C = or += op(A) op(B), no bias, A of `type`, C of f32, in the class if that is bf16) on a
// few shapes, odd sizes, transposes, K beyond one block and accumulation among them, and compares bits with
// plain loops. Takes milliseconds. Returns "" when all are equal, else which shape differs first, for the
// log.
std::string CheckGemm(DType type, Bf16Class bf16_class, absl::FunctionRef<void(const GemmProblem&)> multiply);

}  // namespace shoal
