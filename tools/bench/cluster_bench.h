// The training speed of a whole local cluster: scheduler, servers and workers as processes.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"

namespace shoal::bench {

struct ClusterOptions {
  std::string model = "minilm";  // minilm | bert-l4-h256
  int workers = 2;
  int servers = 2;
  int threads = 1;       // per worker
  int64_t batch = 64;    // examples per round
  int64_t length = 128;  // tokens per example
  int64_t slots = 4;
  int64_t rounds = 30;
  std::string precision = "f32";  // f32 or bf16
  std::string wire;               // f32, bf16 or f16; empty: same as the precision
};

// Trains a classifier with random initial weights on generated sentences that fill the length, with dropout
// 0.1 and AdamW, and prints a line with tokens_per_second over all rounds but the first ones. Errors: the
// cluster's.
absl::Status RunCluster(const ClusterOptions& options);

}  // namespace shoal::bench
