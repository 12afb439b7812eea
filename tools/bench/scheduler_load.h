// Many nodes with sessions, as a scheduler sees them.
#pragma once

#include "absl/status/statusor.h"

namespace shoal::bench {

struct SchedulerLoad {
  int nodes = 1000;
  int channels = 1000;  // connections that the nodes share
  double seconds = 10;  // measured time
};

// The share of a core that a real scheduler process uses while the nodes, simulated by this process, only
// send heartbeats, evenly spread. Errors: the scheduler's; INTERNAL when it has dropped a node.
absl::StatusOr<double> SchedulerCoreShare(const SchedulerLoad& load);

}  // namespace shoal::bench
