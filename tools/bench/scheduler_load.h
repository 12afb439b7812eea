// Many nodes with sessions, as a scheduler sees them.
#pragma once

#include "absl/status/statusor.h"

namespace shoal {

struct SchedulerLoad {
  int nodes = 1000;
  int channels = 1000;  // connections that the nodes share
  double seconds = 10;  // of the measured time
};

// The share of a core that a real scheduler process takes while the nodes, which this process plays, do
// nothing but send heartbeats, spread evenly. Errors: what the scheduler says; INTERNAL when it has taken a
// node off.
absl::StatusOr<double> SchedulerCoreShare(const SchedulerLoad& load);

}  // namespace shoal
