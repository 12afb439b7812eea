// The worker daemon without its command line: worker/worker_jobs.h with a session and gRPC.
#pragma once

#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "common/base/executor.h"
#include "common/rpc/artifacts.h"
#include "common/rpc/session_client.h"
#include "common/storage/file.h"
#include "worker/program.h"
#include "worker/worker_jobs.h"

namespace shoal::worker {

// Thread-safe.
class WorkerDaemon {
 public:
  struct Options {
    SessionOptions session;  // its executors run everything
    std::string work_dir;    // stores artifacts; may be emptied while no worker runs
    Env* env = nullptr;
  };
  // Joins in the background.
  WorkerDaemon(Options options, std::unique_ptr<ProgramBuilder> builder);
  // Stops at once, except for a running slot or preparation; the scheduler notices the broken session.
  ~WorkerDaemon();
  WorkerDaemon(const WorkerDaemon&) = delete;
  WorkerDaemon& operator=(const WorkerDaemon&) = delete;

  // As SessionClient::Leave.
  void Leave(absl::Duration timeout) { session_->Leave(timeout); }
  // Waits until the scheduler has refused this node for good or the process can't continue (see WorkerJobs);
  // returns that error, or OK when `timeout` has passed.
  absl::Status WaitRefused(absl::Duration timeout) ABSL_LOCKS_EXCLUDED(mutex_);

  // Ends the session and all work. DEADLINE_EXCEEDED when a slot or a preparation is still running after
  // `patience`: the destructor would wait for it, so the process should exit without it (std::_Exit).
  absl::Status Stop(absl::Duration patience);

 private:
  std::unique_ptr<JobRunner> MakeRunner(WorkerRounds::Options rounds, std::unique_ptr<Program> program) const;

  const Options options_;
  const std::unique_ptr<ProgramBuilder> builder_;
  ArtifactStore artifacts_;
  absl::Mutex mutex_;
  absl::Status stuck_ ABSL_GUARDED_BY(mutex_);
  absl::Notification session_is_set_;
  std::unique_ptr<SessionClient> session_;
  WorkerJobs jobs_;  // last: it reports to the session until it is destroyed
};

}  // namespace shoal::worker
