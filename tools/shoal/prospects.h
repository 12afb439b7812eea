// Detects that a local training waits for what can't happen.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "proto/scheduler.pb.h"

namespace shoal::tools {

// Processes of a local cluster that are still running. No others will be started.
struct LiveNodes {
  int servers = 0;
  int workers = 0;
};

// What to tell about workers that the job's slots leave without work; "" when all can have some.
std::string IdleWorkersText(uint32_t workers, uint32_t slots);

// What delays the end of nodes: "worker-1: reads data.tsv; worker-2: ...", at most a few; "" when nothing is
// known to.
std::string BusyNodesText(const ClusterStatus& status);

// Where a training that the user stops has come to, and where it will continue. `round` and `checkpoint`, the
// version of the newest one, are 0 when there is none.
std::string StopText(uint64_t round, uint64_t checkpoint);

// Decides whether a local training can still continue. Pure: time and state are passed in. Not thread-safe.
class Prospects {
 public:
  // To be called about once a second. `job` with its spec and, if there is one, its view; `status` from the
  // same moment. The scheduler asks a node that refuses the job again, so such a node counts as lost only
  // after a while; one that has ended, at once.
  // Errors: UNAVAILABLE that says what is missing and why.
  absl::Status Check(absl::Time now, const LiveNodes& live, const Job& job, const ClusterStatus& status);

 private:
  absl::Time refused_since_ = absl::InfiniteFuture();
};

}  // namespace shoal::tools
