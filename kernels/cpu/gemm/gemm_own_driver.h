// Cuts a product for our own kernels: packs B for all threads, then cuts rows and columns of C into tiles.
// Internal to the GEMM.
#pragma once

#include "absl/functional/function_ref.h"
#include "kernels/cpu/gemm/gemm_engine.h"
#include "kernels/cpu/gemm/gemm_own.h"
#include "kernels/cpu/gemm/gemm_problem.h"

namespace shoal::kernels {

// Computes the whole product, f32 or bf16, on all threads. epilogue(tile) is called for each finished tile.
void OwnGemm(GemmEngine& engine, const GemmProblem& problem, bool whole_rows,
             absl::FunctionRef<void(const GemmTile&)> epilogue);

// The same with a given kernel, which must match the problem's arithmetic.
void OwnGemm(GemmEngine& engine, const GemmKernel& kernel, const GemmProblem& problem, bool whole_rows,
             absl::FunctionRef<void(const GemmTile&)> epilogue);

// The same as the first, on the calling thread alone, whose number in the pool is `thread`.
void OwnGemmOnThread(GemmEngine& engine, int thread, const GemmProblem& problem);

}  // namespace shoal::kernels
