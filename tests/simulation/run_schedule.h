// A whole cluster in one thread and in simulated time: the shells that ship, over a simulated network, disk
// and clock, with everything that can happen to machines.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "absl/time/time.h"
#include "tests/simulation/schedule.h"

namespace shoal::simulation {

struct Outcome {
  std::string failure;                             // what went wrong; empty: nothing
  absl::Duration time;                             // simulated
  uint64_t events = 0;                             // of the simulation
  uint64_t actions = 0;                            // of all processes together: points at which one could die
  uint64_t restores = 0;                           // restore points of the last job
  uint64_t checkpoints = 0;                        // committed
  uint64_t interventions = 0;                      // of the completed jobs
  std::map<std::string, uint64_t> longest_queues;  // by the names that the status shows
  bool crashed = false;                            // a `crash` has happened
  bool ended_by_disk = false;                      // a disk error ended a job, which is allowed
  bool stopped_early = false;
  bool kept_older = false;  // than the last version
};

// Runs the schedule's jobs to their ends. A pure function. With `log` it prints what happens to stderr.
Outcome RunSchedule(const Schedule& schedule, bool log = false);

}  // namespace shoal::simulation
