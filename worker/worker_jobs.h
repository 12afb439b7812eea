// A worker without its session and its network: prepares the wanted job, runs it, drops it.
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
#include "common/base/executor.h"
#include "common/protocol/job_refusals.h"
#include "common/protocol/view_key.h"
#include "common/storage/artifact_source.h"
#include "common/storage/progress.h"
#include "worker/job_choice.h"
#include "worker/job_runner.h"
#include "worker/program.h"
#include "worker/worker_rounds.h"

namespace shoal::worker {

// At most one job at a time: its memory and the compute device are free for the next one only when its runner
// has ended. So at most one former job still has its memory, and no other one is made before it has ended;
// heartbeats say whether there is one. A slot can't be interrupted, so when a program or a read from a dead
// disk hangs, only ending the process frees them: this is requested once a next job has waited
// kMaxWaitForFormerJob.
//
// Thread-safe. Only Stop waits for a slot or a preparation.
class WorkerJobs {
 public:
  static constexpr uint64_t kMaxFormerJobs = 1;
  static constexpr absl::Duration kMaxWaitForFormerJob = absl::Minutes(5);

  struct Options {
    // Which node resolves a job's relative paths, and against which folder, for messages: "worker-1 on
    // host-a, working directory /data".
    std::string place;
    ProgramBuilder* builder = nullptr;    // must outlive it
    ArtifactSource* artifacts = nullptr;  // must outlive it
    // Sends a report to the scheduler. Never blocks, never calls back.
    std::function<void(NodeReport)> report;
    // Never blocks.
    std::function<std::unique_ptr<JobRunner>(WorkerRounds::Options, std::unique_ptr<Program>)> make_runner;
    uint64_t max_block_elements = kMaxBlockElements;
    // Makes the executors "preparer", which reads data and waits for former jobs, and "watch".
    ExecutorFactory executors;
    // Called once when this process can't start another job and has to end.
    std::function<void(const absl::Status&)> on_stuck;
  };
  explicit WorkerJobs(Options options);
  // Stops, and waits for running work.
  ~WorkerJobs();
  WorkerJobs(const WorkerJobs&) = delete;
  WorkerJobs& operator=(const WorkerJobs&) = delete;

  // ---- session: as SessionCallbacks, in that order ----
  void OnJoined(NodeId self) ABSL_LOCKS_EXCLUDED(mutex_);
  void OnSessionOpened() ABSL_LOCKS_EXCLUDED(mutex_);
  void OnDirective(const Directive& directive) ABSL_LOCKS_EXCLUDED(mutex_);
  void OnLeaseLost() ABSL_LOCKS_EXCLUDED(mutex_);

  // What this worker is doing, which peers it can't reach, and how long its queues are.
  Heartbeat MakeHeartbeat() const ABSL_LOCKS_EXCLUDED(mutex_);

  // Cancels everything; `stopped` is called, on the preparer, when no part of a job is running any longer. No
  // call may follow it.
  void Stop(std::function<void()> stopped) ABSL_LOCKS_EXCLUDED(mutex_);
  // What is still running, for messages; empty: nothing.
  std::string Busy() const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  // A long task of the preparer.
  struct Task {
    ActivityKind kind = ACTIVITY_UNSPECIFIED;
    uint64_t job = 0;
    std::string what;
    absl::Time progress;  // when it last made progress
  };
  struct PreparedJob {
    JobPrepared prepared;
    std::unique_ptr<Program> program;
    WorkerRounds::Options rounds;
  };

  // A runner belongs to one training.
  void OnView(const View& view) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void OnTarget(const Target& target) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status CheckTarget(const Target& target) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void LeaveJob(const absl::Status& status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Refuses a view of a job that is not here.
  void RefuseAbsent(JobId job) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Reports the held job, once more in each new session.
  void ReportPrepared() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Cancels the runner at once, and lets the preparer destroy it.
  void DropRunner() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Has the wanted job prepared, and reports it when the preparer is not free in time.
  void PostPreparation() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void CheckStarted(uint64_t preparation) ABSL_LOCKS_EXCLUDED(mutex_);

  // ---- preparer ----
  void PrepareWanted() ABSL_LOCKS_EXCLUDED(mutex_);
  // Whether the job's files are on this machine, as the plan says. `differs`: they exist but have other
  // contents.
  absl::StatusOr<bool> HasData(const PrepareJob& request, bool* differs);
  absl::StatusOr<PreparedJob> MakeOrExplain(const PrepareJob& request);
  absl::StatusOr<PreparedJob> Make(const PrepareJob& request);
  absl::StatusOr<JobPlan> DerivePlan(const PrepareJob& request);
  // Begins a task of this kind; the returned function records its progress.
  Progress Begin(ActivityKind kind, uint64_t job, absl::string_view what) ABSL_LOCKS_EXCLUDED(mutex_);
  absl::Status Hold(const PrepareJob& request, PreparedJob made) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // `refused` has the details already set.
  void Refuse(JobId job, const absl::Status& status, JobRefused refused)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const Options options_;
  mutable absl::Mutex mutex_;
  NodeId self_ ABSL_GUARDED_BY(mutex_);
  JobChoice choice_ ABSL_GUARDED_BY(mutex_);
  JobRefusals refusals_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<JobRunner> runner_ ABSL_GUARDED_BY(mutex_);  // of the held job
  View view_ ABSL_GUARDED_BY(mutex_);                          // the runner's latest, with its latest target
  std::optional<PrepareJob> under_way_ ABSL_GUARDED_BY(mutex_);  // in the preparer, in this lease
  std::optional<Task> task_ ABSL_GUARDED_BY(mutex_);             // its current part
  bool posted_ ABSL_GUARDED_BY(mutex_) = false;                  // PrepareWanted is queued or running
  uint64_t preparations_ ABSL_GUARDED_BY(mutex_) = 0;            // requested
  uint64_t started_ ABSL_GUARDED_BY(mutex_) = 0;                 // the newest that is in progress or finished
  absl::Time asked_ ABSL_GUARDED_BY(mutex_);                     // when the newest was requested
  uint64_t retirements_ ABSL_GUARDED_BY(mutex_) = 0;             // runners to be destroyed
  uint64_t retired_ ABSL_GUARDED_BY(mutex_) = 0;                 // how many of them are destroyed
  std::string retiring_ ABSL_GUARDED_BY(mutex_);                 // what the newest of them was doing
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  const std::unique_ptr<Executor> preparer_;
  const std::unique_ptr<Executor> watch_;
};

}  // namespace shoal::worker
