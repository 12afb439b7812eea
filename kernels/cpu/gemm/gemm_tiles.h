// Matrix products for kernels of the CPU that do more with them than Gemm.
#pragma once

#include "absl/functional/function_ref.h"
#include "kernels/cpu/cpu_device.h"
#include "kernels/cpu/gemm/gemm_problem.h"
#include "kernels/gemm.h"

namespace shoal::kernels {

// Gemm on the calling thread alone, for use inside an item of the pool; `thread` is the item's.
void GemmOnThread(CpuDevice& device, int thread, const GemmArgs& args);

// Gemm, then epilogue(tile) for each tile of C, after the bias, on the thread that computed it and while it
// is in cache. Tiles cover C exactly once, are cut by shape alone, and are whole rows when N <=
// kWidestWholeRow. The epilogue may change the tile in place and write the same tile of other matrices (bias
// + GELU, residual).
void GemmWithEpilogue(CpuDevice& device, const GemmArgs& args,
                      absl::FunctionRef<void(const GemmTile&)> epilogue);
inline constexpr int64_t kWidestWholeRow = 1024;

}  // namespace shoal::kernels
