// The peak speeds of this machine, against which kernels are judged.
#pragma once

#include "kernels/cpu/cpu_device.h"
#include "kernels/tensor.h"

namespace shoal::bench {

struct MachinePeak {
  double gflops = 0;  // of the matrix products' instruction, operands in registers, on all threads
  double gigabytes_per_second = 0;  // of a copy of arrays that fit no cache: bytes read and written
};

// Takes about 0.2 s. `activations`: f32 measures FMAs; bf16 measures AVX512_BF16's instruction where the
// device has it (none is known for AMX).
MachinePeak MeasureMachinePeak(kernels::CpuDevice& device, kernels::DType activations);

}  // namespace shoal::bench
