// When a local training waits for what can't come.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "proto/scheduler.pb.h"

namespace shoal {

// Processes of a local cluster that still run. Nobody starts another.
struct LiveNodes {
  int servers = 0;
  int workers = 0;
};

// Decides whether a local training can still go on. Pure: time and state are passed in. Not thread-safe.
class Prospects {
 public:
  // To be called about once a second. `job` with its spec and, if there is one, its view; `status` of the
  // same moment. A node that refuses the job is asked again by the scheduler, so it counts as lost only after
  // a while; one that has ended, at once.
  // Errors: UNAVAILABLE that says what is lacking and why.
  absl::Status Check(absl::Time now, const LiveNodes& live, const Job& job, const ClusterStatus& status);

 private:
  absl::Time refused_since_ = absl::InfiniteFuture();
};

}  // namespace shoal
