// A server as the scheduler knows it: prepares a job when told to, installs its views, drops it.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "common/base/executor.h"
#include "common/protocol/blocks.h"
#include "common/protocol/job_refusals.h"
#include "common/storage/file.h"
#include "proto/scheduler.pb.h"
#include "server/job_owner.h"
#include "server/peer_link.h"
#include "server/shard_host.h"

namespace shoal::server {

// Holds at most one job at a time. Former jobs keep their memory until they are destroyed, which takes no
// time unless a disk hangs: while there are kMaxFormerJobs of them no job is accepted, and the scheduler,
// which gets no answer, offers it again. Heartbeats say how many there are, and which job waits for them.
//
// Session, network, files and time are passed in, by server/server_daemon.h or the simulation. Session events
// must come from one thread at a time; none of them blocks. Find is thread-safe.
class ServerJobs {
 public:
  static constexpr size_t kMaxFormerJobs = 3;

  struct Options {
    int threads = 1;
    Env* env = nullptr;
    ExecutorFactory executors;  // those of JobOwner, and of ShardHost for each job
    PeerLink* peers = nullptr;  // outlives the node
    // Sends a report to the scheduler if a session is open; never blocks.
    std::function<void(NodeReport)> report;
    RestoreSource::FetchArtifact fetch;  // may block; called on a job's "restores" executor
    uint64_t max_block_elements = kMaxBlockElements;
  };
  explicit ServerJobs(Options options);
  // Drops the job. No request or stream may still refer to it.
  ~ServerJobs();
  ServerJobs(const ServerJobs&) = delete;
  ServerJobs& operator=(const ServerJobs&) = delete;

  // ---- the session's events: see SessionCallbacks ----
  void OnJoined(NodeId self);
  void OnSessionOpened() ABSL_LOCKS_EXCLUDED(mutex_);
  void OnDirective(const Directive& directive) ABSL_LOCKS_EXCLUDED(mutex_);
  void OnLeaseLost() ABSL_LOCKS_EXCLUDED(mutex_);

  // For the session's heartbeats: what the job is doing, which peers it can't reach, and how long its queues
  // are. Never blocks; any thread.
  Heartbeat MakeHeartbeat() const ABSL_LOCKS_EXCLUDED(mutex_);

  // Errors: FAILED_PRECONDITION when this server runs another job or none.
  absl::StatusOr<std::shared_ptr<ShardHost>> Find(JobId job) const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  void Prepare(const PrepareJob& request);
  // `former` jobs still hold their memory; the heartbeats say so.
  void HoldUp(JobId job, size_t former) ABSL_LOCKS_EXCLUDED(mutex_);
  void Install(const View& view);
  void DropJob() ABSL_LOCKS_EXCLUDED(mutex_);
  void ReportPrepared(JobId job);
  // Refuses a view of a job that is not here.
  void RefuseAbsent(JobId job, const absl::Status& status);
  // `outdated_training`: see JobRefused.
  void Refuse(JobId job, const absl::Status& status, uint64_t outdated_training = 0);

  const Options options_;
  JobOwner owner_;
  NodeId self_;  // session thread only

  PrepareJob prepared_;   // the request that made job_; session thread only
  JobRefusals refusals_;  // session thread only

  mutable absl::Mutex mutex_;
  std::shared_ptr<ShardHost> job_ ABSL_GUARDED_BY(mutex_);
  Activity held_up_ ABSL_GUARDED_BY(mutex_);  // what an unprepared job waits for; job 0: none waits
};

}  // namespace shoal::server
