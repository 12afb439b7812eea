// Cuts a product for our own kernel: packs B for all threads, then rows and columns of C in tiles. Internal
// to the GEMM.
#pragma once

#include "absl/functional/function_ref.h"
#include "kernels/device.h"
#include "kernels/gemm.h"
#include "kernels/gemm_problem.h"

namespace shoal {

// The product without the bias, on all threads. finish(tile) is called for each finished tile.
void OwnGemm(Device& device, const GemmProblem& problem, bool whole_rows,
             absl::FunctionRef<void(const GemmTile&)> finish);

// The same on the calling thread, which has the name `thread` in the device's pool.
void OwnGemmOnThread(Device& device, int thread, const GemmProblem& problem);

}  // namespace shoal
