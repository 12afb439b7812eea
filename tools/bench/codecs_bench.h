// The speed of converting gradients and parameters to bytes on the wire and back.
#pragma once

#include <cstdint>

#include "absl/status/status.h"

namespace shoal::bench {

struct CodecsOptions {
  int threads = 2;    // measured with one thread, then with this many
  int64_t mib = 256;  // of float32 per thread, for the sizes that fit no cache
  int repeats = 7;
};

// Measures encode, decode, and the servers' decode + add + round, for bf16 and f16: one block per thread,
// repeatedly, which stays in a cache; and arrays in memory. Each line has
//   gigabytes_per_second        read and written: 6 bytes per element; with the sum's 4 + 4 of decode_add, 10
//   copy_gigabytes_per_second   a memcpy that reads and writes the same number of bytes, measured right after
//   of_copy                     their ratio
absl::Status RunCodecs(const CodecsOptions& options);

}  // namespace shoal::bench
