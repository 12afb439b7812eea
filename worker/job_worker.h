// The threads around one job's rounds (worker/worker_rounds.h): a lock, and an executor that runs the slots.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/base/executor.h"
#include "worker/job_runner.h"
#include "worker/parameter_link.h"
#include "worker/program.h"
#include "worker/worker_rounds.h"

namespace shoal::worker {

class JobWorker : public JobRunner, public ParameterLinkEvents {
 public:
  struct Options {
    WorkerRounds::Options rounds;
    // Makes the executor "runner", which runs the slots, one per task.
    ExecutorFactory executors;
    // A slot starts only when all its parameters have arrived, so that it never waits: for executors that
    // have no thread of their own.
    bool start_when_whole = false;
  };
  using LinkFactory = std::function<std::unique_ptr<ParameterLink>(ParameterLinkEvents*)>;

  // Only the runner uses `program`.
  JobWorker(Options options, std::unique_ptr<Program> program, const LinkFactory& make_link);
  // Cancels the running slot and waits for it: at most one slot's time, hence forever when the program hangs.
  ~JobWorker() override;

  // A view that can't belong to this job is refused in a report.
  void OnView(const View& view) override ABSL_LOCKS_EXCLUDED(mutex_);
  void OnTarget(const Target& target) override ABSL_LOCKS_EXCLUDED(mutex_);
  void OnSessionOpened() override ABSL_LOCKS_EXCLUDED(mutex_);
  std::string Cancel() override ABSL_LOCKS_EXCLUDED(mutex_);
  // COMPUTE or EVALUATE while a slot runs. Not while it waits for parameters, which depends on a server. And
  // how many contributions are held.
  void AddTo(Heartbeat* heartbeat) const override ABSL_LOCKS_EXCLUDED(mutex_);

  void OnVersions(ViewId view, uint32_t shard, Version lowest) override ABSL_LOCKS_EXCLUDED(mutex_);
  bool OnBlock(const PublishedHeader& header, const BlockStore& store) override ABSL_LOCKS_EXCLUDED(mutex_);
  void OnOutOfRange(ViewId view) override ABSL_LOCKS_EXCLUDED(mutex_);
  Version PullFrom() override ABSL_LOCKS_EXCLUDED(mutex_);
  void OnPushReopened(ViewId view, uint32_t shard) override ABSL_LOCKS_EXCLUDED(mutex_);

  // The view that it follows.
  ViewKey key() const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  // Called after each change of rounds_: wakes waiters, and runs the next slot.
  void Changed() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // A slot that can start.
  std::optional<SlotRun> NextSlot() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void RunNext() ABSL_LOCKS_EXCLUDED(mutex_);
  // Errors: the program's; RESOURCE_EXHAUSTED when out of memory.
  absl::Status RunSlot(const SlotRun& run) ABSL_LOCKS_EXCLUDED(mutex_);
  absl::StatusOr<EvaluationStatistics> EvaluateSlot(const SlotRun& run);
  void Train(const SlotRun& run) ABSL_LOCKS_EXCLUDED(mutex_);
  void Evaluate(const SlotRun& run) ABSL_LOCKS_EXCLUDED(mutex_);
  bool WaitGroup(const SlotRun& run, int group) ABSL_LOCKS_EXCLUDED(mutex_);
  void FinishGroup(int group) ABSL_LOCKS_EXCLUDED(mutex_);

  const Options options_;
  const std::unique_ptr<Program> program_;
  const std::unique_ptr<Executor> runner_;
  std::unique_ptr<ParameterLink> link_;

  mutable absl::Mutex mutex_;
  absl::CondVar changed_;
  // Guarded by mutex_, except for the runner's functions.
  WorkerRounds rounds_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;           // the link is no longer called
  bool busy_ ABSL_GUARDED_BY(mutex_) = false;               // RunNext is queued or runs
  std::optional<SlotRun> running_ ABSL_GUARDED_BY(mutex_);  // nullopt while it waits for parameters
  absl::Time progress_ ABSL_GUARDED_BY(mutex_);             // of running_, by the runner's clock
};

}  // namespace shoal::worker
