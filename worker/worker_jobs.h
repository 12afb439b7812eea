// A worker without its session and its network: prepares the job that is wanted, runs it, drops it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/artifacts.h"
#include "common/executor.h"
#include "common/progress.h"
#include "common/view_key.h"
#include "worker/job_choice.h"
#include "worker/job_runner.h"
#include "worker/program.h"
#include "worker/worker_rounds.h"

namespace shoal::worker {

// At most one job at a time: its memory, and the device's arithmetic, are free for the next one only when its
// runner has ended. A slot can't be interrupted, so when a program hangs, or a read of a dead disk, nobody
// can free them but the end of the process: that is asked for once a next job has waited
// kMaxWaitForFormerJob.
//
// Thread-safe. No function but Stop waits for a slot or a preparation.
class WorkerJobs {
 public:
  static constexpr absl::Duration kMaxWaitForFormerJob = absl::Minutes(5);

  struct Options {
    // Where a relative path of a job begins and who looks there, for messages: "worker-1 on host-a, working
    // directory /data".
    std::string place;
    ProgramBuilder* builder = nullptr;    // must outlive it
    ArtifactSource* artifacts = nullptr;  // must outlive it
    // Sends a report to the scheduler. Never blocks, never calls back.
    std::function<void(NodeReport)> report;
    // Never blocks.
    std::function<std::unique_ptr<JobRunner>(WorkerRounds::Options, std::unique_ptr<Program>)> make_runner;
    uint64_t max_block_elements = kMaxBlockElements;
    // Makes the executors "preparer", where data is read and former jobs are waited for, and "watch".
    ExecutorFactory executors;
    // Called once when this process can't go on with another job and has to end.
    std::function<void(const absl::Status&)> on_stuck;
  };
  explicit WorkerJobs(Options options);
  // Stops, and waits for whatever runs.
  ~WorkerJobs();
  WorkerJobs(const WorkerJobs&) = delete;
  WorkerJobs& operator=(const WorkerJobs&) = delete;

  // ---- session: as SessionCallbacks, in that order ----
  void OnJoined(NodeId self) ABSL_LOCKS_EXCLUDED(mutex_);
  void OnSessionOpened() ABSL_LOCKS_EXCLUDED(mutex_);
  void OnDirective(const Directive& directive) ABSL_LOCKS_EXCLUDED(mutex_);
  void OnLeaseLost() ABSL_LOCKS_EXCLUDED(mutex_);

  // What this worker is at and whom it can't reach.
  Heartbeat MakeHeartbeat() const ABSL_LOCKS_EXCLUDED(mutex_);

  // Cancels everything; `stopped` is called, on the preparer, when nothing of a job runs any more. Nothing
  // may follow it.
  void Stop(std::function<void()> stopped) ABSL_LOCKS_EXCLUDED(mutex_);
  // What still runs, for messages; empty: nothing.
  std::string Busy() const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  // A long task of the preparer.
  struct Task {
    ActivityKind kind = ACTIVITY_UNSPECIFIED;
    uint64_t job = 0;
    std::string what;
    absl::Time progress;  // the last
  };
  struct PreparedJob {
    JobPrepared prepared;
    std::unique_ptr<Program> program;
    WorkerRounds::Options rounds;
  };

  // A runner is of one training.
  void OnView(const View& view) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void OnTarget(const Target& target) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status CheckTarget(const Target& target) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void LeaveJob(const absl::Status& status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // To be reported again in a new session.
  void ReportPrepared() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Cancels the runner at once, and has it destroyed by the preparer.
  void DropRunner() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Has the wanted job prepared, and says so when the preparer is not free for it in time.
  void PostPreparation() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void CheckStarted(uint64_t preparation) ABSL_LOCKS_EXCLUDED(mutex_);

  // ---- preparer ----
  void PrepareWanted() ABSL_LOCKS_EXCLUDED(mutex_);
  // Whether the job's files are here, as its plan says. `differs`: they are here, and are others.
  absl::StatusOr<bool> HasData(const PrepareJob& request, bool* differs);
  absl::StatusOr<PreparedJob> MakeOrExplain(const PrepareJob& request);
  absl::StatusOr<PreparedJob> Make(const PrepareJob& request);
  absl::StatusOr<JobPlan> DerivePlan(const PrepareJob& request);
  // Begins a task of that kind; what it returns notes its progress.
  Progress Begin(ActivityKind kind, uint64_t job, absl::string_view what) ABSL_LOCKS_EXCLUDED(mutex_);
  absl::Status Hold(const PrepareJob& request, PreparedJob made) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // `refused` says what is special about it.
  void Refuse(JobId job, const absl::Status& status, JobRefused refused);

  const Options options_;
  mutable absl::Mutex mutex_;
  NodeId self_ ABSL_GUARDED_BY(mutex_);
  JobChoice choice_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<JobRunner> runner_ ABSL_GUARDED_BY(mutex_);    // of the job that is held
  View view_ ABSL_GUARDED_BY(mutex_);                            // the runner's last, with its last target
  std::optional<PrepareJob> under_way_ ABSL_GUARDED_BY(mutex_);  // of the preparer, in this lease
  std::optional<Task> task_ ABSL_GUARDED_BY(mutex_);             // its current part
  bool posted_ ABSL_GUARDED_BY(mutex_) = false;                  // PrepareWanted is queued or runs
  uint64_t preparations_ ABSL_GUARDED_BY(mutex_) = 0;            // asked for
  uint64_t started_ ABSL_GUARDED_BY(mutex_) = 0;                 // the newest that is under way or over
  absl::Time asked_ ABSL_GUARDED_BY(mutex_);                     // for the newest
  uint64_t retirements_ ABSL_GUARDED_BY(mutex_) = 0;             // runners to be destroyed
  uint64_t retired_ ABSL_GUARDED_BY(mutex_) = 0;                 // of them, destroyed
  std::string retiring_ ABSL_GUARDED_BY(mutex_);                 // what the newest of them was at
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  const std::unique_ptr<Executor> preparer_;
  const std::unique_ptr<Executor> watch_;
};

}  // namespace shoal::worker
