// Deadlines in gRPC's representation.
#pragma once

#include <algorithm>
#include <cstdint>

#include "absl/time/time.h"
#include "grpc/support/time.h"

namespace shoal {

// `timeout` from now, by the monotonic clock: setting the wall clock moves no deadline.
inline gpr_timespec GrpcDeadline(absl::Duration timeout) {
  constexpr int64_t kMaxMicros = int64_t{1} << 50;  // microseconds: 35 years, far from an overflow
  const int64_t micros = std::clamp<int64_t>(absl::ToInt64Microseconds(timeout), 0, kMaxMicros);
  return gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_micros(micros, GPR_TIMESPAN));
}

}  // namespace shoal
