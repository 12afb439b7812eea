// The speed of a server's parameter update, compared with that of memory.
#pragma once

#include <cstdint>

#include "absl/status/status.h"

namespace shoal::bench {

struct ApplyOptions {
  int threads = 1;
  int64_t parameters_mib = 256;
  int repeats = 7;
};

// AdamW on f32 parameters that lie in memory, not in cache. Prints a line with GB/s of the update (reads of
// the parameters, gradient and two moments; writes of all but the gradient) and of a copy that moves the same
// number of bytes on the same number of threads, and their ratio.
absl::Status RunApply(const ApplyOptions& options);

}  // namespace shoal::bench
