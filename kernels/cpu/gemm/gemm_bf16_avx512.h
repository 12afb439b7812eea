// The bf16 GEMM's kernel on AVX512_BF16. Internal to the GEMM.
#pragma once

#include "kernels/cpu/gemm/gemm_own.h"

namespace shoal::kernels {

// Use it only where the processor has AVX512_BF16.
GemmKernel Avx512Bf16Kernel();

}  // namespace shoal::kernels
