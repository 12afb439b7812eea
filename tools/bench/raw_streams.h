// What the transport itself can do: the yardstick of pushpull.
#pragma once

#include <cstdint>

#include "absl/status/statusor.h"

namespace shoal {

// Seconds to move `bytes` each way at the same time over loopback, in messages of `message_bytes`, between
// two ends in this process.
absl::StatusOr<double> GrpcSeconds(uint64_t bytes, uint64_t message_bytes, int repeats);
absl::StatusOr<double> TcpSeconds(uint64_t bytes, uint64_t message_bytes, int repeats);

}  // namespace shoal
