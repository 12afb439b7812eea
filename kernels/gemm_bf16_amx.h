// The bf16 GEMM's kernel on AMX. Internal to the GEMM.
#pragma once

#include "kernels/gemm_own.h"

namespace shoal {

// Asks the system for tiles, for all threads of the process. False: it gives none. Call it where the
// processor has AMX, before threads use AmxBf16Kernel.
bool StartAmx();

GemmKernel AmxBf16Kernel();

}  // namespace shoal
