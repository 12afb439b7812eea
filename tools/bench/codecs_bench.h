// How fast gradients and parameters are turned into bytes of the wire and back.
#pragma once

#include <cstdint>

#include "absl/status/status.h"

namespace shoal {

struct CodecsOptions {
  int threads = 2;    // measured with one thread, then with so many
  int64_t mib = 256;  // of float32 on each thread, for the sizes that fit no cache
  int repeats = 7;
};

// encode, decode, and the servers' decode + add + round, for bf16 and f16: one block a thread, again and
// again, which stays in a cache; and arrays that lie in memory. Each line has
//   gigabytes_per_second        read and written: 6 bytes an element, with the sum's 4 + 4 of decode_add 10
//   copy_gigabytes_per_second   a memcpy that reads and writes as many bytes, measured right after
//   of_copy                     their ratio
absl::Status RunCodecs(const CodecsOptions& options);

}  // namespace shoal
