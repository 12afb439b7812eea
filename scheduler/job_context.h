// What the parts of a job's run have in common (scheduler/job_run.h).
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

// What a job sees of the scheduler around it, and where it leaves its effects.
struct JobContext {
  const SchedulerOptions& options;
  const Membership& members;
  const ProgressWatch& watch;
  Outbox* out;
  JobHistory* history;
};

// Why the job has failed; nullopt: it goes on. A part never ends the job itself: JobRun does.
using Failure = std::optional<std::string>;

// What a step came to.
struct StepResult {
  Failure failure = std::nullopt;
  std::optional<std::string> reason =
      std::nullopt;  // what the job waits for now, for people; nullopt: nothing new
};

// How often in a row a worker may refuse to derive the plan, a server fail to load a restore point that is
// not damaged, the result's checkpoint be lost, or not be readable, before the job does something about it.
inline constexpr uint32_t kMaxAttempts = 3;

}  // namespace shoal::scheduler
