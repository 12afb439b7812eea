// The clock by which durations, deadlines and leases are measured.
#pragma once

#include "absl/time/time.h"

namespace shoal {

// The wall clock at the process's first call, advanced by the operating system's monotonic clock: setting the
// wall clock later moves no deadline. Any thread.
//
// To wait until such a time, use common/base/executor.h: absl::Mutex waits by the wall clock.
absl::Time MonotonicNow();

}  // namespace shoal
