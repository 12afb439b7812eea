#include "tests/simulation/run_state.h"

#include <algorithm>
#include <cstdio>

#include "absl/strings/str_cat.h"

namespace shoal::simulation {

RunState::RunState(const Schedule& its_schedule, bool logs)
    : schedule(its_schedule), log(logs), queue(its_schedule.seed) {
  for (uint64_t number : schedule.jobs) {
    SubmittedJob& job = jobs.emplace_back();
    job.number = number;
    job.folder = absl::StrCat("storage/job-", jobs.size());
    job.oracle = std::make_unique<Oracle>(MakeUpJob(number));
  }
}

void RunState::Log(const std::string& text) const {
  if (log) std::fprintf(stderr, "%s %s\n", absl::FormatDuration(queue.elapsed()).c_str(), text.c_str());
}

void RunState::Fail(const std::string& text) {
  if (outcome.failure.empty()) outcome.failure = text;
}

bool RunState::HasFault(const std::set<std::string>& kinds) const {
  return std::any_of(schedule.faults.begin(), schedule.faults.end(),
                     [&](const Fault& fault) { return kinds.count(fault.kind) > 0; });
}

}  // namespace shoal::simulation
