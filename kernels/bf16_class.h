// The numerics classes of bf16 products, which kernels/gemm.h defines.
#pragma once

#include "absl/strings/string_view.h"

namespace shoal::kernels {

// Any processor that Shoal runs on computes the first; those with AMX compute the second too.
enum class Bf16Class { kAvx512, kAmx };

// "avx512-bf16", "amx-bf16".
inline absl::string_view Bf16ClassName(Bf16Class bf16_class) {
  return bf16_class == Bf16Class::kAmx ? "amx-bf16" : "avx512-bf16";
}

}  // namespace shoal::kernels
