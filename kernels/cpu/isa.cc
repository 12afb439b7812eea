#include "kernels/cpu/isa.h"

#include <cpuid.h>

#include "absl/strings/str_cat.h"
#include "hwy/targets.h"

namespace shoal::kernels {
namespace {

constexpr Isa kAll[] = {Isa::kAvx2, Isa::kAvx512, Isa::kAvx512Bf16, Isa::kAmxBf16};

bool HasAvx2() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2");
}

bool HasAvx512() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
         __builtin_cpu_supports("avx512cd");
}

// CPUID leaf 7: EDX bit 22 is AMX-BF16, bit 24 AMX-TILE. StartAmx asks the operating system for the tiles.
bool HasAmxBf16() {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) == 0) return false;
  return (edx & (1u << 22)) != 0 && (edx & (1u << 24)) != 0;
}

}  // namespace

absl::string_view IsaName(Isa isa) {
  switch (isa) {
    case Isa::kAvx2:
      return "avx2";
    case Isa::kAvx512:
      return "avx512";
    case Isa::kAvx512Bf16:
      return "avx512-bf16";
    case Isa::kAmxBf16:
      return "amx-bf16";
  }
  return "?";
}

absl::StatusOr<Isa> ParseIsa(absl::string_view name) {
  for (Isa isa : kAll) {
    if (IsaName(isa) == name) return isa;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("instruction set \"", name, "\": expected avx2, avx512, avx512-bf16 or amx-bf16"));
}

absl::StatusOr<Isa> DetectIsa() {
  if (!HasAvx2()) {
    return absl::FailedPreconditionError(
        "this processor lacks AVX2, FMA or BMI2, without which sums can't have the bits that Shoal defines");
  }
  if (!HasAvx512()) return Isa::kAvx2;
  if (!__builtin_cpu_supports("avx512bf16")) return Isa::kAvx512;
  return HasAmxBf16() ? Isa::kAmxBf16 : Isa::kAvx512Bf16;
}

absl::Status CheckIsa(Isa isa) {
  const absl::StatusOr<Isa> best = DetectIsa();
  if (!best.ok()) return best.status();
  if (isa > *best) {
    return absl::FailedPreconditionError(absl::StrCat(
        "instruction set ", IsaName(isa), " was requested, but this processor has ", IsaName(*best)));
  }
  return absl::OkStatus();
}

absl::Status UseIsa(Isa isa) {
  const absl::Status status = CheckIsa(isa);
  if (!status.ok()) return status;
  hwy::DisableTargets(isa == Isa::kAvx2 ? HWY_AVX3 | HWY_AVX3_DL : 0);
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
  return absl::OkStatus();
}

}  // namespace shoal::kernels
