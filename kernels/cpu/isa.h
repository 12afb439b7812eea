// The instruction set that kernels use: Highway's run-time dispatch, narrowed on request.
//
// Only targets with fused multiply-add are compiled (//tools/third_party:highway defines
// HWY_BASELINE_TARGETS=HWY_AVX2), since a multiply followed by an add rounds differently. So AVX2 is the
// minimum that Shoal runs on.
#pragma once

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace shoal::kernels {

// Ordered: a larger value includes the smaller ones.
enum class Isa {
  kAvx2,        // AVX2, FMA, BMI2, F16C
  kAvx512,      // F, BW, CD, DQ, VL
  kAvx512Bf16,  // and AVX512_BF16
  kAmxBf16,     // and AMX tiles of bf16
};

// "avx2", "avx512", "avx512-bf16", "amx-bf16".
absl::string_view IsaName(Isa isa);

// Errors: INVALID_ARGUMENT that lists the valid names.
absl::StatusOr<Isa> ParseIsa(absl::string_view name);

// The best that this processor and operating system offer; only GemmEngine::has_amx asks the system for AMX.
// Errors: FAILED_PRECONDITION when the processor lacks AVX2, FMA or BMI2.
absl::StatusOr<Isa> DetectIsa();

// FAILED_PRECONDITION when the processor does not have `isa`; errors of DetectIsa.
absl::Status CheckIsa(Isa isa);

// Makes every HWY_DYNAMIC_DISPATCH of this process use `isa`. It is process-wide because Highway's dispatch
// is; call it while no kernel runs (CpuDevice::Create does). Errors: those of CheckIsa; then nothing
// changes.
absl::Status UseIsa(Isa isa);

}  // namespace shoal::kernels
