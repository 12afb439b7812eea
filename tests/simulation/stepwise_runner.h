// Runs a job's slots on a simulated worker, like worker::JobWorker, but with other events in the middle of a
// slot, which a thread that computes can't have in simulated time. All decisions are made by
// worker::WorkerRounds, which ships. tests/simulation/whole_slot_runner.h runs JobWorker itself.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/time/time.h"
#include "tests/simulation/made_up_job.h"
#include "tests/simulation/oracle.h"
#include "tests/simulation/process.h"
#include "worker/job_runner.h"
#include "worker/parameter_link.h"
#include "worker/worker_rounds.h"

namespace shoal::simulation {

// A slot takes several events: forward, then the groups from the last to the first.
class StepwiseRunner : public worker::JobRunner, public worker::ParameterLinkEvents {
 public:
  using LinkFactory = std::function<std::unique_ptr<worker::ParameterLink>(worker::ParameterLinkEvents*)>;
  StepwiseRunner(Process* process, Oracle* oracle, MadeUpJob job, worker::WorkerRounds::Options options,
                 const LinkFactory& make_link);
  ~StepwiseRunner() override { cancelled_ = true; }

  void OnView(const View& view) override;
  void OnTarget(const Target& target) override;
  void OnSessionOpened() override;
  std::string Cancel() override;
  void AddTo(Heartbeat* heartbeat) const override;

  void OnVersions(ViewId view, uint32_t shard, Version lowest) override;
  bool OnBlock(const PublishedHeader& header, const worker::BlockStore& store) override;
  void OnOutOfRange(ViewId view) override;
  Version PullFrom() override { return rounds_.PullFrom(); }
  void OnPushReopened(ViewId view, uint32_t shard) override {
    if (!cancelled_) rounds_.OnPushReopened(view, shard);
  }

 private:
  // After each change of rounds_.
  void Changed();
  void RunNext();
  void Forward();
  void Backward(int group);
  void Evaluate();
  void End();
  absl::Duration Time(absl::Duration shortest, absl::Duration longest);

  Process* const process_;
  Oracle* const oracle_;  // null: nothing is compared
  const MadeUpJob job_;
  const worker::WorkerRounds::Options options_;
  const std::unique_ptr<Executor> runner_;
  const std::unique_ptr<worker::ParameterLink> link_;
  worker::WorkerRounds rounds_;
  bool cancelled_ = false;
  bool busy_ = false;     // a step is queued, or waits for parameters
  bool waiting_ = false;  // for parameters
  std::optional<worker::SlotRun> run_;
  absl::Time progress_;
};

}  // namespace shoal::simulation
