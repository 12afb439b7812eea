// Cuts a product for our own kernels: packs B for all threads, then rows and columns of C in tiles. Internal
// to the GEMM.
#pragma once

#include "absl/functional/function_ref.h"
#include "kernels/device.h"
#include "kernels/gemm.h"
#include "kernels/gemm_own.h"
#include "kernels/gemm_problem.h"

namespace shoal {

// The whole product, f32 or bf16, on all threads. epilogue(tile) is called for each finished tile.
void OwnGemm(Device& device, const GemmProblem& problem, bool whole_rows,
             absl::FunctionRef<void(const GemmTile&)> epilogue);

// With this kernel, which must be of the problem's arithmetic.
void OwnGemm(Device& device, const GemmKernel& kernel, const GemmProblem& problem, bool whole_rows,
             absl::FunctionRef<void(const GemmTile&)> epilogue);

// The first one on the calling thread, which has the name `thread` in the device's pool.
void OwnGemmOnThread(Device& device, int thread, const GemmProblem& problem);

}  // namespace shoal
