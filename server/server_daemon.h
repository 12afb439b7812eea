// The server daemon without its command line: a ServerJobs with a scheduler session, gRPC and threads.
#pragma once

#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/rpc/artifacts.h"
#include "common/rpc/session_client.h"
#include "common/storage/file.h"
#include "server/grpc_peer_link.h"
#include "server/server_jobs.h"

namespace shoal::server {

// Thread-safe.
class ServerDaemon {
 public:
  struct Options {
    std::shared_ptr<grpc::Channel> channel;  // to the scheduler
    std::string work_dir;                    // holds artifacts; may be emptied while no server runs
    int threads = 1;
    Env* env = nullptr;
  };
  explicit ServerDaemon(Options options);
  // Stops at once; the scheduler notices the broken session. Shut the RPC server down first.
  ~ServerDaemon();
  ServerDaemon(const ServerDaemon&) = delete;
  ServerDaemon& operator=(const ServerDaemon&) = delete;

  // Joins in the background. Call once.
  void Join(SessionOptions session);

  // See SessionClient. Call after Join.
  void Leave(absl::Duration timeout) { session_->Leave(timeout); }
  absl::Status WaitRefused(absl::Duration timeout) { return session_->WaitRefused(timeout); }

  // See ServerJobs.
  absl::StatusOr<std::shared_ptr<ShardHost>> Find(JobId job) const { return node_.Find(job); }

 private:
  ServerJobs::Options NodeOptions();

  const Options options_;
  ArtifactStore artifacts_;
  GrpcPeerLink peers_;
  absl::Mutex joining_;  // callbacks wait until session_ is set
  std::unique_ptr<SessionClient> session_;
  ServerJobs node_;
};

}  // namespace shoal::server
