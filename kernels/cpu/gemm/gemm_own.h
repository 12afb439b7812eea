// What our own GEMM multiplies with: packing and a micro-kernel for each arithmetic. Internal to the GEMM.
//
// B is packed into panels of a few vectors' width, A into panels of a few rows; the micro-kernel keeps a
// panel's tile of C in registers over one block of K (Goto and van de Geijn, "Anatomy of High-Performance
// Matrix Multiplication", 2008; here the A panel stays in L1 and B streams from L2, since the blocks of K are
// given). While it multiplies it prefetches what comes next: the next panel of A, B a few steps ahead, the
// tile of C.
#pragma once

#include <cstdint>

#include "kernels/cpu/gemm/gemm_problem.h"
#include "kernels/cpu/isa.h"

namespace shoal::kernels {

// The sums of C's elements while blocks of K are added: where C is f32, C itself.
struct GemmSums {
  float* data = nullptr;  // of row 0, column 0 of C
  int64_t stride = 0;
  bool add = false;  // to the values they hold; otherwise they hold none yet

  float* At(int64_t row, int64_t column) const { return data + row * stride + column; }
};

struct GemmKernel {
  // The micro-kernel's tile: rows of a packed panel of A and columns of one of B.
  int64_t panel_rows = 0;
  int64_t panel_columns = 0;
  int64_t packed_element_bytes = 0;
  int64_t k_unit = 1;  // packed blocks of K are rounded up to a multiple of it
  int64_t scratch_bytes = 0;

  // Packs op(B)[k, n], k at most one block of K: RoundUp(k.size(), k_unit) elements for each column; columns
  // are rounded up to whole panels.
  void (*pack_b)(const GemmProblem& problem, Range k, Range n, void* packed) = nullptr;

  // Adds op(A)[m,k] times what pack_b packed for (k, n) to `sums`; at the end of K it finishes C[m,n] from
  // them. `scratch`: scratch_bytes of memory that only the calling thread uses.
  void (*multiply)(const GemmProblem& problem, const GemmSums& sums, Range m, Range n, Range k,
                   const void* packed, void* scratch) = nullptr;
};

// f32 on AVX2 and AVX-512, which meets the definition of gemm.h by construction. Depends on UseIsa.
GemmKernel F32Kernel();

// bf16 with AVX512_BF16 where `isa` has it. Elsewhere the same bits from the f32 kernel, slower: B and A are
// widened to f32 with the elements of each pair of k swapped.
GemmKernel Bf16Kernel(Isa isa);

// The parts of F32Kernel.
void OwnPackB(const GemmProblem& problem, Range k, Range n, void* packed);
void OwnMultiply(const GemmProblem& problem, const GemmSums& sums, Range m, Range n, Range k,
                 const void* packed, void* scratch);

}  // namespace shoal::kernels
