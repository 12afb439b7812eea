#include "tests/simulation/made_up_program.h"

#include <numeric>

namespace shoal::simulation {

void MadeUpProgram::RunIn(Process* process, Oracle* oracle) {
  process_ = process;
  oracle_ = oracle;
}

uint64_t MadeUpProgram::elements() const {
  const auto& sizes = job_.plan.group_sizes();
  return std::accumulate(sizes.begin(), sizes.end(), uint64_t{0});
}

absl::Status MadeUpProgram::RunSlot(const worker::SlotTask& task) {
  const int groups = job_.plan.group_sizes_size();
  for (int group = 0; group < groups; ++group) {
    if (!task.wait_group(group)) return absl::CancelledError("no longer wanted");
  }
  const uint64_t round = task.round.value();
  if (oracle_ != nullptr) oracle_->OnComputed(Version(round), task.theta);
  task.set_stats(MadeUpGradient(job_, round, task.slot.value(), absl::MakeConstSpan(task.theta, elements()),
                                absl::MakeSpan(task.gradient, elements())));
  for (int group = groups - 1; group >= 0; --group) task.group_final(group);
  return process_->Fails() ? absl::InternalError("made up") : absl::OkStatus();
}

absl::StatusOr<EvaluationStatistics> MadeUpProgram::EvaluateSlot(const worker::EvaluationTask& task) {
  if (oracle_ != nullptr) oracle_->OnEvaluated(task.version, task.theta);
  return MadeUpEvaluation(job_, task.set, task.slot.value(), absl::MakeConstSpan(task.theta, elements()));
}

}  // namespace shoal::simulation
