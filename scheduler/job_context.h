// What the parts of a job's run share (scheduler/job_run.h).
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "scheduler/actions.h"
#include "scheduler/job_history.h"
#include "scheduler/membership.h"
#include "scheduler/options.h"
#include "scheduler/progress_watch.h"

namespace shoal::scheduler {

// What a job sees of the scheduler, and where it puts its effects.
struct JobContext {
  const SchedulerOptions& options;
  const Membership& members;
  const ProgressWatch& watch;
  Outbox* out;
  JobHistory* history;
};

// Why the job has failed; nullopt: it goes on. A part never ends the job itself; only JobRun does.
using Failure = std::optional<std::string>;

// The outcome of a step.
struct StepResult {
  Failure failure = std::nullopt;
  std::optional<std::string> reason =
      std::nullopt;  // what the job waits for now, as text for users; nullopt: unchanged
};

// How many times in a row a worker may refuse to derive the plan, a server may fail to load an undamaged
// restore point, or the result's checkpoint may be lost or unreadable, before the job acts on it.
inline constexpr uint32_t kMaxAttempts = 3;

}  // namespace shoal::scheduler
