// What this machine can do at best, beside which kernels are judged.
#pragma once

#include "kernels/device.h"
#include "kernels/tensor.h"

namespace shoal {

struct MachinePeak {
  double gflops = 0;                // of the products' instruction, operands in registers, on all threads
  double gigabytes_per_second = 0;  // of a copy of arrays that no cache holds: bytes read and written
};

// Takes some 0.2 s. `activations`: f32 counts FMAs; bf16 AVX512_BF16's instruction where the device has it
// (of AMX there is no peak).
MachinePeak MeasureMachinePeak(Device& device, DType activations);

}  // namespace shoal
