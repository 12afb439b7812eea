// The time that durations, deadlines and leases are measured by.
#pragma once

#include "absl/time/time.h"

namespace shoal {

// The wall clock as it was when the process first asked, moved on by the operating system's monotonic clock:
// whoever sets the wall clock later moves nobody's deadline. Any thread.
//
// Waiting for such a time is common/base/executor.h's business: absl::Mutex waits by the wall clock.
absl::Time MonotonicNow();

}  // namespace shoal
