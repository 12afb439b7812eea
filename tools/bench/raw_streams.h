// The speed of the transport itself: the yardstick for pushpull.
#pragma once

#include <cstdint>

#include "absl/status/statusor.h"

namespace shoal::bench {

struct RawTransfer {
  uint64_t bytes = 0;          // each way
  uint64_t message_bytes = 0;  // divides `bytes`
  int repeats = 5;             // after one warm-up; the fastest counts
};

// Seconds to move the bytes each way at the same time over loopback, between two ends in this process. gRPC:
// a stream each way, both on one connection, or on one each (`connections`: 1 or 2). The sent data is in
// memory, not in a cache; received data is discarded.
absl::StatusOr<double> GrpcSeconds(const RawTransfer& transfer, int connections);
// TCP: one connection. The sent data stays in a cache.
absl::StatusOr<double> TcpSeconds(const RawTransfer& transfer);

}  // namespace shoal::bench
