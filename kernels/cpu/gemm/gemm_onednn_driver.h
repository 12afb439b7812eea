// Cuts an f32 product into calls to oneDNN. Internal to the GEMM.
#pragma once

#include "absl/functional/function_ref.h"
#include "kernels/cpu/gemm/gemm_engine.h"
#include "kernels/cpu/gemm/gemm_problem.h"

namespace shoal::kernels {

// Computes the product on all threads. epilogue(tile) is called for each finished tile.
void OnednnGemmF32(GemmEngine& engine, const GemmProblem& problem, bool whole_rows,
                   absl::FunctionRef<void(const GemmTile&)> epilogue);

// Computes one tile of the product without the bias, on the calling thread. Tiles of few rows or columns go
// to our own kernel: oneDNN runs different code for those, which starts its sums with what C holds (seen
// with 2.6.3 below 16 rows and with one column).
void OnednnGemmTile(GemmEngine& engine, int thread, const GemmProblem& problem, Range m, Range n);

}  // namespace shoal::kernels
