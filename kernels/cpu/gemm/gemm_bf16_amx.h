// The bf16 GEMM's kernel on AMX. Internal to the GEMM.
#pragma once

#include "kernels/cpu/gemm/gemm_own.h"

namespace shoal::kernels {

// Asks the operating system for AMX tiles, for all threads of the process. Returns false when it refuses.
// Call it only where the processor has AMX, before threads use AmxBf16Kernel.
bool StartAmx();

GemmKernel AmxBf16Kernel();

}  // namespace shoal::kernels
