// The worker daemon without its command line: a session with the scheduler, and at most one job.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/artifacts.h"
#include "common/file.h"
#include "common/session_client.h"
#include "worker/job_choice.h"
#include "worker/job_worker.h"
#include "worker/program.h"

namespace shoal::worker {

// Thread-safe.
class WorkerNode {
 public:
  struct Options {
    SessionOptions session;
    std::string work_dir;  // keeps artifacts; may be emptied while no worker runs
    Env* env = nullptr;
  };
  // Joins in the background.
  WorkerNode(Options options, std::unique_ptr<ProgramBuilder> builder);
  // Stops at once; the scheduler notices by the broken session.
  ~WorkerNode();
  WorkerNode(const WorkerNode&) = delete;
  WorkerNode& operator=(const WorkerNode&) = delete;

  // As SessionClient's.
  void Leave(absl::Duration timeout) { session_->Leave(timeout); }
  absl::Status WaitRefused(absl::Duration timeout) { return session_->WaitRefused(timeout); }

 private:
  struct PreparedJob {
    JobPrepared prepared;
    std::unique_ptr<JobWorker> worker;
  };

  void OnDirective(const Directive& directive);
  void OnSessionOpened();
  // To be reported again in a new session.
  void ReportPrepared() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void CloseJob(uint64_t job) ABSL_LOCKS_EXCLUDED(mutex_);
  void DropJob() ABSL_LOCKS_EXCLUDED(mutex_);
  void RunPreparations();
  void Prepare(const PrepareJob& request);
  absl::StatusOr<PreparedJob> MakeJob(const PrepareJob& request);
  absl::StatusOr<JobPlan> DerivePlan(const JobSpec& spec);
  absl::StatusOr<std::unique_ptr<JobWorker>> MakeWorker(JobId job, const JobSpec& spec, const JobPlan& plan);
  void Refuse(JobId job, const absl::Status& status, bool deriving);

  const Options options_;
  const std::unique_ptr<ProgramBuilder> builder_;
  ArtifactStore artifacts_;

  absl::Mutex mutex_;
  JobChoice choice_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<JobWorker> worker_ ABSL_GUARDED_BY(mutex_);  // of the job that is held
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::unique_ptr<SessionClient> session_;
  std::thread preparer_;
};

}  // namespace shoal::worker
