// A server as the scheduler knows it: prepares a job when told, takes on its views, drops it. At most one job
// at a time; none is taken on while three former ones can't be destroyed since their disk does not answer.
#pragma once

#include <functional>
#include <memory>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "common/base/executor.h"
#include "common/protocol/blocks.h"
#include "common/storage/file.h"
#include "proto/scheduler.pb.h"
#include "server/job_owner.h"
#include "server/peer_link.h"
#include "server/shard_host.h"

namespace shoal::server {

// Session, network, files and time come from outside: server/server_daemon.h, or the simulation. Events of
// the session are given by one thread at a time; none of them blocks. Find is thread-safe.
class ServerNode {
 public:
  struct Options {
    int threads = 1;
    Env* env = nullptr;
    ExecutorFactory executors;  // as of JobOwner, and ShardHost's for each job
    PeerLink* peers = nullptr;  // outlives the node
    // Sends a report to the scheduler if a session stands; never blocks.
    std::function<void(NodeReport)> report;
    RestoreSource::FetchArtifact fetch;  // may block; called by a job's executor of restores
    uint64_t max_block_elements = kMaxBlockElements;
  };
  explicit ServerNode(Options options);
  // Drops the job. No request and no stream may refer to it any more.
  ~ServerNode();
  ServerNode(const ServerNode&) = delete;
  ServerNode& operator=(const ServerNode&) = delete;

  // ---- the session's events: see SessionCallbacks ----
  void OnJoined(NodeId self);
  void OnSessionOpened() ABSL_LOCKS_EXCLUDED(mutex_);
  void OnDirective(const Directive& directive) ABSL_LOCKS_EXCLUDED(mutex_);
  void OnLeaseLost() ABSL_LOCKS_EXCLUDED(mutex_);

  // For the session's heartbeats: what the job is at, and whom it can't reach. Never blocks; any thread.
  Heartbeat MakeHeartbeat() const ABSL_LOCKS_EXCLUDED(mutex_);

  // Errors: FAILED_PRECONDITION when another job, or none, is here.
  absl::StatusOr<std::shared_ptr<ShardHost>> Find(JobId job) const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  void Prepare(const PrepareJob& request);
  // `former` jobs keep their memory: the heartbeats say so.
  void HoldUp(JobId job, size_t former) ABSL_LOCKS_EXCLUDED(mutex_);
  void Install(const View& view);
  void DropJob() ABSL_LOCKS_EXCLUDED(mutex_);
  void ReportPrepared(const ShardHost& job);
  // `outdated_training`: see JobRefused.
  void Refuse(JobId job, const absl::Status& status, uint64_t outdated_training = 0);

  const Options options_;
  JobOwner owner_;
  NodeId self_;  // of the session's thread

  PrepareJob prepared_;  // that job_ came of; of the session's thread

  mutable absl::Mutex mutex_;
  std::shared_ptr<ShardHost> job_ ABSL_GUARDED_BY(mutex_);
  Activity held_up_ ABSL_GUARDED_BY(mutex_);  // what a job waits for that is not prepared; job 0: none does
};

}  // namespace shoal::server
