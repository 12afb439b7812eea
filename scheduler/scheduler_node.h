// The scheduler daemon without its command line: carries out what SchedulerCore decides.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/base/event.h"
#include "common/base/executor.h"
#include "common/storage/artifact_folder.h"
#include "common/storage/file.h"
#include "scheduler/folder_executors.h"
#include "scheduler/scheduler_core.h"
#include "scheduler/store.h"

namespace shoal::scheduler {

// A node's session stream, as the scheduler sees it. Called with SchedulerNode's lock held; must not call
// back.
class SessionStream {
 public:
  virtual ~SessionStream() = default;
  virtual void Send(const Directive& directive) = 0;
  virtual void End(const absl::Status& status) = 0;
  // How many bytes of directives the node has not read, for the status.
  virtual size_t unread_bytes() const { return 0; }
};

// A watcher of a job. Called with SchedulerNode's lock held; must not call back.
class JobWatcher {
 public:
  virtual ~JobWatcher() = default;
  // The history has grown, or the job has ended: call ReadEvents when convenient.
  virtual void OnHistory() = 0;
  // Live progress: a newer event replaces older ones.
  virtual void OnProgress(const JobEvent& event) = 0;
};

// Thread-safe. Events go through the core under one lock, and their consequences are durable before they are
// acted upon: after a failed write to the store nothing more is done, and every call returns that error. Work
// on files has its own executors, one per folder.
class SchedulerNode {
 public:
  struct Options {
    SchedulerOptions core;
    std::unique_ptr<Store> store;
    std::string artifact_dir;
    Env* env = nullptr;
    ExecutorFactory executors;  // for ticks and for work on files
  };
  // Maximum number of watchers: each holds one of the RPC server's threads. The status says how many there
  // are.
  static constexpr size_t kMaxWatchers = 256;

  // Reads the store. Errors: those of the store; DATA_LOSS if it is damaged.
  static absl::StatusOr<std::unique_ptr<SchedulerNode>> Start(Options options);
  ~SchedulerNode();
  SchedulerNode(const SchedulerNode&) = delete;
  SchedulerNode& operator=(const SchedulerNode&) = delete;

  // Waits until a write to the store has failed (returns the error: the scheduler must not go on) or
  // `timeout` has passed (returns OK).
  absl::Status WaitFailed(absl::Duration timeout) ABSL_LOCKS_EXCLUDED(mutex_);
  // Ends all streams and refuses whatever comes later. Call before the RPC server shuts down.
  void Stop() ABSL_LOCKS_EXCLUDED(mutex_);

  // ---- nodes. Errors: those of SchedulerCore and the store; UNAVAILABLE when stopping. ----
  absl::StatusOr<JoinResponse> Join(const JoinRequest& request) ABSL_LOCKS_EXCLUDED(mutex_);
  // After an OK result, `stream` gets directives until SessionOver, or until another stream replaces it
  // (which ends it). A refused Hello ends no other stream.
  absl::Status OpenSession(const Hello& hello, SessionStream* stream) ABSL_LOCKS_EXCLUDED(mutex_);
  // `stream`: the session that the report came in. Errors also: ABORTED, with no effect, when that session is
  // over or another one has replaced it: what the node reported there may no longer be so.
  absl::Status Report(NodeId node, const SessionStream* stream, const NodeReport& report)
      ABSL_LOCKS_EXCLUDED(mutex_);
  // `stream` has ended; it may be destroyed once this returns.
  void SessionOver(NodeId node, SessionStream* stream) ABSL_LOCKS_EXCLUDED(mutex_);

  // ---- users. Errors: as above. ----
  absl::StatusOr<JobId> Submit(const SubmitJobRequest& request) ABSL_LOCKS_EXCLUDED(mutex_);
  absl::Status Cancel(JobId job) ABSL_LOCKS_EXCLUDED(mutex_);
  absl::StatusOr<Job> GetJob(JobId job) ABSL_LOCKS_EXCLUDED(mutex_);
  absl::StatusOr<ListJobsResponse> ListJobs(JobId after = JobId(0)) ABSL_LOCKS_EXCLUDED(mutex_);
  absl::StatusOr<ClusterStatus> GetStatus() ABSL_LOCKS_EXCLUDED(mutex_);
  // Returns the sequence after which to read events: `after`, or that of the newest event if the history ends
  // before it because an older copy of the store was put back. Errors: NOT_FOUND; RESOURCE_EXHAUSTED for more
  // than kMaxWatchers.
  absl::StatusOr<uint64_t> Watch(JobId job, uint64_t after, JobWatcher* watcher) ABSL_LOCKS_EXCLUDED(mutex_);
  void Unwatch(JobId job, JobWatcher* watcher) ABSL_LOCKS_EXCLUDED(mutex_);
  struct Events {
    std::vector<JobEvent> events;
    bool last = false;  // the job has ended; nothing follows
  };
  absl::StatusOr<Events> ReadEvents(JobId job, uint64_t after) ABSL_LOCKS_EXCLUDED(mutex_);

  ArtifactFolder& artifacts() { return artifacts_; }
  // Passes an artifact to `take`. A damaged one is deleted, and one that is missing, or can't be read, is
  // derived again if the running job needs it. Errors: as ArtifactFolder::Read.
  absl::Status SendArtifact(const std::string& sha256, const ArtifactFolder::TakePiece& take)
      ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  explicit SchedulerNode(Options options);

  absl::Time Now() const { return ticks_->Now(); }
  // Errors: UNAVAILABLE when stopping; those of the store.
  absl::Status Ready() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Carries out the core's actions. Errors: those of the store.
  absl::Status CarryOut() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void CarryOut(Action action) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void PostWorkOnFiles(Action action) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void AddUnread(NodeStatus* node) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void TickLater();
  void WorkOnFiles(const Action& action) ABSL_LOCKS_EXCLUDED(mutex_);

  const Options options_;
  const std::unique_ptr<Executor> ticks_;
  const absl::Time started_;
  ArtifactFolder artifacts_;
  FolderExecutors files_;
  Event failure_;

  absl::Mutex mutex_;
  SchedulerCore core_ ABSL_GUARDED_BY(mutex_);
  std::map<NodeId, SessionStream*> sessions_ ABSL_GUARDED_BY(mutex_);
  std::map<JobId, std::set<JobWatcher*>> watchers_ ABSL_GUARDED_BY(mutex_);
  size_t watcher_count_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::Status failed_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace shoal::scheduler
