// Ops of the CPU on the calling thread alone, for epilogues of the GEMM (gemm_tiles.h).
#pragma once

#include "kernels/activation.h"
#include "kernels/layer_norm.h"

namespace shoal::kernels {

// ActivationForward of a tile: some rows and columns.
void ActivationForwardOnThread(const ActivationForwardArgs& args);

// NormForward of some rows. Cut the tensors by rows, and the dropout with FromRow.
void NormForwardOnThread(const NormForwardArgs& args);

}  // namespace shoal::kernels
