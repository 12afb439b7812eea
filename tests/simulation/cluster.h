// A whole cluster in one thread and in simulated time: the shells that ship, over a simulated network, disk
// and clock, with everything that can happen to machines.
#pragma once

#include <cstdint>
#include <string>

#include "absl/time/time.h"
#include "tests/simulation/schedule.h"

namespace shoal::simulation {

struct Outcome {
  std::string failure;         // what is wrong; empty: all is well
  absl::Duration time;         // simulated
  uint64_t events = 0;         // of the simulation
  uint64_t actions = 0;        // of all processes together: places where they could die
  uint64_t restores = 0;       // restore points of the last job
  uint64_t checkpoints = 0;    // committed
  uint64_t interventions = 0;  // of the completed jobs
  bool crashed = false;        // a `crash` has happened
  bool ended_by_disk = false;  // a disk error ended a job, as it may
  bool stopped_early = false;
  bool kept_older = false;  // than the last version
};

// Runs the schedule's jobs to their ends. A pure function. With `log` it tells on stderr what happens.
Outcome RunSchedule(const Schedule& schedule, bool log = false);

// Takes from a failing schedule all that it fails without. Runs at most `budget` schedules.
Schedule Shrink(Schedule failing, int budget);

}  // namespace shoal::simulation
