// Our own f32 GEMM for AVX2 and AVX-512, which meets the definition of gemm.h by construction. Internal to
// the GEMM.
//
// B is packed into panels of a few vectors' width, A into panels of a few rows; the micro-kernel keeps a
// panel's tile of C in registers over one block of K (Goto and van de Geijn, "Anatomy of High-Performance
// Matrix Multiplication", 2008; here the A panel stays in L1 and B streams from L2, since the blocks of K are
// given).
#pragma once

#include <cstdint>

#include "kernels/gemm_problem.h"

namespace shoal {

// Rows and columns of the micro-kernel's tile: those of a packed panel of A and of B. They depend on the
// instruction set (UseIsa).
int64_t OwnPanelRows();
int64_t OwnPanelColumns();

// Packs op(B)[k, n] into `packed`, which holds k.size() elements for each column, their number rounded up to
// whole panels. k: at most one block of K.
void OwnPackB(const GemmProblem& problem, Range k, Range n, float* packed);

// Elements of scratch that OwnMultiply needs.
int64_t OwnScratchSize();

// C[m,n] = or += op(A)[m,k] times what OwnPackB made for (k, n); adds when `add`. `scratch` is the calling
// thread's own.
void OwnMultiply(const GemmProblem& problem, Range m, Range n, Range k, const float* packed, bool add,
                 float* scratch);

}  // namespace shoal
