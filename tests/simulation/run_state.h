// What the parts of one run share: its schedule, time and disk, its jobs, and what has come of it so far.
#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "common/base/types.h"
#include "tests/simulation/event_queue.h"
#include "tests/simulation/memory_disk.h"
#include "tests/simulation/oracle.h"
#include "tests/simulation/run_schedule.h"

namespace shoal::simulation {

// How often operators and checks look at the cluster again.
inline constexpr absl::Duration kPoll = absl::Milliseconds(20);

// A job of the schedule, as whoever submits it knows it.
struct SubmittedJob {
  uint64_t number = 0;  // of MakeUpJob
  int life = 0;         // how often it was submitted again
  JobId id;             // 0: not yet
  std::string cluster;  // that it was submitted to
  std::string folder;
  std::string last_folder;  // of the previous life
  std::string resume_from;
  std::unique_ptr<Oracle> oracle;
  bool cancelled = false;
  bool over = false;
};

// Outlives all other parts. Not thread-safe.
struct RunState {
  RunState(const Schedule& its_schedule, bool logs);

  // Prints `text` with the simulated time to stderr, if the run logs.
  void Log(const std::string& text) const;
  // The first failure is the one that counts; an empty `text` is none.
  void Fail(const std::string& text);
  // Whether the schedule has a fault of one of these kinds.
  bool HasFault(const std::set<std::string>& kinds) const;

  const Schedule schedule;
  const bool log;
  EventQueue queue;
  MemoryDisk disk;
  std::vector<SubmittedJob> jobs;   // in the schedule's order
  std::set<std::string> damaged;    // checkpoints
  std::set<std::string> forgotten;  // checkpoints that an older store, put back, knows of
  Outcome outcome;
};

}  // namespace shoal::simulation
