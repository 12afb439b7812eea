// The speed of each kernel on its own, at the shapes of training.
#pragma once

#include <string>

#include "absl/status/status.h"

namespace shoal::bench {

struct KernelsOptions {
  int threads = 1;
  std::string precision = "f32";  // of activations: f32 or bf16
  std::string only;               // only the kernels whose name contains this
  int repeats = 10;
};

// Prints a line for each kernel and shape: GFLOP/s where the work is arithmetic, and GB/s of the arrays it
// reads and writes. SHOAL_ISA and SHOAL_GEMM choose the path.
// Errors: those of CpuDevice::Create.
absl::Status RunKernels(const KernelsOptions& options);

}  // namespace shoal::bench
