// The training speed of one worker without a network.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"

namespace shoal::bench {

struct TrainOptions {
  std::string model = "minilm";   // minilm | bert-l4-h256 | gpt2
  std::string precision = "f32";  // f32 or bf16
  int64_t batch = 32;             // examples per step
  int64_t length = 128;           // tokens per example
  bool variable_length = false;   // lengths drawn uniformly from length/4 to length
  int threads = 1;
  int steps = 10;
  bool profile = false;  // also a line for each op: its share of the time, its speed
};

// Steps of a model of tools/bench/bench_models.h on random tokens, after two warm-up steps: forward,
// backward, AdamW. Prints a line with
//   batch_tokens                            tokens per step; there is no padding
//   tokens_per_second, examples_per_second  of all steps
//   gflops                                  of TrainingFlops alone
//   peak_memory_bytes                       of the process so far
//   scratch_allocations                     growths of kernels' memory during the steps: 0
// SHOAL_ISA and SHOAL_GEMM choose the path of the kernels.
// Errors: INVALID_ARGUMENT for an unknown model or precision; those of CpuDevice::Create.
absl::Status RunTrain(const TrainOptions& options);

}  // namespace shoal::bench
