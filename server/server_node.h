// The server daemon without its command line: a session with the scheduler, and at most one job.
#pragma once

#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/artifacts.h"
#include "common/file.h"
#include "common/session_client.h"
#include "server/server_job.h"

namespace shoal::server {

// Thread-safe.
class ServerNode {
 public:
  struct Options {
    std::shared_ptr<grpc::Channel> channel;  // to the scheduler
    std::string work_dir;                    // keeps artifacts; may be emptied while no server runs
    int threads = 1;
    Env* env = nullptr;
  };
  explicit ServerNode(Options options);
  // Stops at once; the scheduler notices by the broken session.
  ~ServerNode();
  ServerNode(const ServerNode&) = delete;
  ServerNode& operator=(const ServerNode&) = delete;

  // Joins in the background; once.
  void Join(SessionOptions session);

  // As SessionClient's; after Join.
  void Leave(absl::Duration timeout) { session_->Leave(timeout); }
  absl::Status WaitRefused(absl::Duration timeout) { return session_->WaitRefused(timeout); }

  // Errors: FAILED_PRECONDITION when another job, or none, is here.
  absl::StatusOr<std::shared_ptr<ServerJob>> Find(JobId job) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  void OnDirective(const Directive& directive);
  void OnSessionOpened();
  void Prepare(const PrepareJob& request);
  void DropJob() ABSL_LOCKS_EXCLUDED(mutex_);
  void ReportPrepared(JobId job);

  const Options options_;
  ArtifactStore artifacts_;

  absl::Mutex mutex_;
  std::shared_ptr<ServerJob> job_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<SessionClient> session_;
};

}  // namespace shoal::server
