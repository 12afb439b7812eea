// What a simulated worker computes in the slots of a made-up job.
#pragma once

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tests/simulation/made_up_job.h"
#include "tests/simulation/oracle.h"
#include "tests/simulation/process.h"
#include "worker/program.h"

namespace shoal::simulation {

// A slot takes no time and is one event. The runner that has slots of several events
// (tests/simulation/stepwise_runner.h) takes only the job.
class MadeUpProgram : public worker::Program {
 public:
  explicit MadeUpProgram(MadeUpJob job) : job_(std::move(job)) {}

  const MadeUpJob& job() const { return job_; }
  // Both must outlive it. Whether slots fail is asked of `process`; `oracle`, if not null, is told what they
  // were computed with. Must be called before the first slot.
  void RunIn(Process* process, Oracle* oracle);

  absl::Status RunSlot(const worker::SlotTask& task) override;
  absl::StatusOr<EvaluationStatistics> EvaluateSlot(const worker::EvaluationTask& task) override;

 private:
  uint64_t elements() const;

  const MadeUpJob job_;
  Process* process_ = nullptr;
  Oracle* oracle_ = nullptr;
};

}  // namespace shoal::simulation
