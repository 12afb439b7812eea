// One job on one server: JobShard with timers, threads, files and the other servers around it.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/executor.h"
#include "common/file.h"
#include "kernels/thread_pool.h"
#include "proto/scheduler.pb.h"
#include "server/job_shard.h"
#include "server/peer_link.h"
#include "server/restore_source.h"

namespace shoal::server {

// A worker's Pull, as the job sees it. Called with no lock of the job held, by any thread.
class PullStream {
 public:
  virtual ~PullStream() = default;
  virtual ViewId view() const = 0;
  // A new version of the block can be looked up: see server/subscription.h.
  virtual void Wake(BlockId block) = 0;
  virtual void End(const absl::Status& status) = 0;
};

// Thread-safe. Waits for nothing but its executors, and starts no thread but for ParallelFor, so that the
// simulation runs it as it is. To be owned through server/job_owner.h: the destructor waits for the
// executors, so it must not run on one of them.
class ServerJob : public JobShardHost {
 public:
  struct Options {
    NodeId self;
    int threads = 1;  // for ParallelFor; 1: on the caller's
    std::string checkpoint_dir;
    Env* env = nullptr;
    // Makes "timers" (reports, norms), "updates" (Execute), "files" (checkpoints) and "restores" (Install).
    ExecutorFactory executors;
    PeerLink* peers = nullptr;  // outlives the job
    // Sends a report to the scheduler; never blocks, and calls nothing of the job. Not called any more when
    // Close has returned.
    std::function<void(NodeReport)> report;
    RestoreSource::FetchArtifact fetch;  // called by the executor of restores; may block
  };
  ServerJob(Options options, std::shared_ptr<const ShardJob> job);
  // Closes, and waits for what runs.
  ~ServerJob() override;
  // The job is over here: its streams end, a restore is given up, nothing is reported any more. Never blocks.
  void Close() ABSL_LOCKS_EXCLUDED(mutex_);

  JobId id() const { return job_->job; }
  const ShardJob& job() const { return *job_; }
  JobShard& shard() { return *shard_; }

  // Takes on the view, and reports it or why not. Never blocks: requests of older views are refused when it
  // returns; the restore point is loaded by the executor of restores, which then reports. A restore for an
  // older view that still runs ends soon and reports nothing; what it has loaded is kept if it is of the same
  // restore point. The same view again: reported again, or tried again when it failed.
  void Install(const View& view) ABSL_LOCKS_EXCLUDED(mutex_);
  // The scheduler may have forgotten what was reported: reports it again.
  void OnSessionOpened() ABSL_LOCKS_EXCLUDED(mutex_);

  // From now on `stream` is woken when a block gets a new version, until Unsubscribe or its view is over;
  // what is there already it looks up by itself. Errors: FAILED_PRECONDITION when its view is not the newest,
  // or the job is over.
  absl::Status Subscribe(std::shared_ptr<PullStream> stream) ABSL_LOCKS_EXCLUDED(mutex_);
  void Unsubscribe(const std::shared_ptr<PullStream>& stream) ABSL_LOCKS_EXCLUDED(mutex_);

  // ---- JobShardHost ----
  void OnPublished(ViewId view, BlockId block) override;
  void SendNorms(ViewId view, uint32_t peer, const Norms& norms) override;
  void OnProgress(const ShardProgress& progress) override;
  void OnSnapshot(std::shared_ptr<const ShardSnapshot> snapshot) override;
  void Execute(std::function<void()> work) override;
  void ParallelFor(uint64_t count, const std::function<void(uint64_t)>& fn) override;

 private:
  struct NormsCall;
  class Life;

  // Ends the streams of other views than `except`.
  void EndStreams(ViewId except, const absl::Status& status) ABSL_LOCKS_EXCLUDED(mutex_);
  void Restore(const View& view) ABSL_LOCKS_EXCLUDED(mutex_);
  void OnNormsAnswer(const NormsCall& call, const absl::StatusOr<Norms>& answer) ABSL_LOCKS_EXCLUDED(mutex_);
  bool IsNewest(ViewId view) ABSL_LOCKS_EXCLUDED(mutex_);
  void ReportInstalled() ABSL_LOCKS_EXCLUDED(mutex_);
  void ReportSoon() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void ReportWhenIdle() ABSL_LOCKS_EXCLUDED(mutex_);
  void ReportProgress() ABSL_LOCKS_EXCLUDED(mutex_);
  void WriteSnapshot(const ShardSnapshot& snapshot) ABSL_LOCKS_EXCLUDED(mutex_);

  const Options options_;
  const std::shared_ptr<const ShardJob> job_;
  RestoreSource source_;
  std::unique_ptr<JobShard> shard_;
  const std::shared_ptr<Life> life_;  // for answers of peers, which may come late

  absl::Mutex mutex_;
  View view_ ABSL_GUARDED_BY(mutex_);                               // the newest
  ViewId queued_ ABSL_GUARDED_BY(mutex_);                           // a Restore of it waits; 0: none does
  std::optional<ViewInstalled> installed_ ABSL_GUARDED_BY(mutex_);  // what came of view_, when known
  std::set<std::shared_ptr<PullStream>> streams_ ABSL_GUARDED_BY(mutex_);
  bool report_due_ ABSL_GUARDED_BY(mutex_) = false;  // a ReportProgress waits
  absl::Time reported_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
  std::deque<RoundStats> rounds_ ABSL_GUARDED_BY(mutex_);   // the last ones, for new sessions
  uint64_t unreported_ ABSL_GUARDED_BY(mutex_) = 0;         // of them, at the back
  std::deque<NodeReport> written_ ABSL_GUARDED_BY(mutex_);  // of the restore point, for new sessions
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;

  absl::Mutex pool_mutex_;  // one loop at a time
  ThreadPool pool_ ABSL_GUARDED_BY(pool_mutex_);
  const std::unique_ptr<Executor> timers_;
  const std::unique_ptr<Executor> updates_;
  const std::unique_ptr<Executor> files_;
  const std::unique_ptr<Executor> restores_;
};

}  // namespace shoal::server
