// How fast a whole local cluster trains: scheduler, servers and workers as processes.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"

namespace shoal {

struct ClusterOptions {
  std::string model = "minilm";  // minilm | bert-l4-h256
  int workers = 2;
  int servers = 2;
  int threads = 1;       // of each worker
  int64_t batch = 64;    // examples of a round
  int64_t length = 128;  // tokens of an example
  int64_t slots = 4;
  int64_t rounds = 30;
  std::string precision = "f32";  // f32 or bf16
  std::string wire;               // f32, bf16 or f16; empty: as the precision
};

// Trains a classifier of random weights on made-up sentences that fill the length, with dropout 0.1 and
// AdamW, and prints a line with tokens_per_second over all rounds but the first ones. Errors: what the
// cluster says.
absl::Status RunCluster(const ClusterOptions& options);

}  // namespace shoal
