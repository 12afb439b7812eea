#include "tests/simulation/run_schedule.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "tests/simulation/cluster.h"
#include "tests/simulation/end_checks.h"
#include "tests/simulation/fault_injector.h"
#include "tests/simulation/job_operator.h"
#include "tests/simulation/run_state.h"

namespace shoal::simulation {
namespace {

constexpr absl::Duration kMaxDuration = absl::Seconds(200);  // maximum for a schedule: longer means a hang
constexpr size_t kMaxEvents = 20000;  // pending at one time: more means an unbounded queue

bool AllOver(const RunState& state) {
  return std::all_of(state.jobs.begin(), state.jobs.end(), [](const SubmittedJob& job) { return job.over; });
}

// What the scheduler says about jobs that do not end; empty when there is none to ask.
std::string StatusOf(const Cluster& cluster) {
  scheduler::SchedulerNode* const node = cluster.scheduler()->node();
  if (node == nullptr) return "";
  const auto status = node->GetStatus();
  return status.ok() ? status->ShortDebugString() : "";
}

void RunToTheEnd(const Cluster& cluster, RunState* state) {
  while (state->outcome.failure.empty() && !(AllOver(*state) && !cluster.IsAnyoneLeaving())) {
    if (state->queue.elapsed() > kMaxDuration) {
      state->Fail(absl::StrCat("the jobs have not ended in ", absl::FormatDuration(kMaxDuration), ": ",
                               StatusOf(cluster)));
    }
    if (state->queue.waiting() > kMaxEvents) state->Fail("a queue grows without bound");
    state->queue.Step();
  }
}

}  // namespace

Outcome RunSchedule(const Schedule& schedule, bool log) {
  RunState state(schedule, log);
  Cluster cluster(&state);
  JobOperator job_operator(&state, &cluster);
  FaultInjector injector(&state, &cluster, &job_operator);
  EndChecks checks(&state, &cluster);
  for (size_t job = 0; job < state.jobs.size(); ++job) job_operator.SubmitWhenPossible(job);
  for (const Fault& fault : schedule.faults)
    state.queue.After(absl::Milliseconds(fault.at_ms), [&injector, fault] { injector.Inject(fault); });
  checks.Poll();
  checks.PollQueues();
  RunToTheEnd(cluster, &state);
  for (const SubmittedJob& job : state.jobs) state.Fail(job.oracle->failure());
  state.outcome.time = state.queue.elapsed();
  state.outcome.events = state.queue.steps();
  for (const auto& process : cluster.processes()) {
    state.outcome.actions += process->actions();
    state.outcome.crashed = state.outcome.crashed || process->crashed();
  }
  return state.outcome;
}

}  // namespace shoal::simulation
