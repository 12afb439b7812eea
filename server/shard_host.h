// One job on one server: ShardCore with timers, threads, files and the other servers around it.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/base/executor.h"
#include "common/base/thread_pool.h"
#include "common/protocol/contribution_stats.h"
#include "common/storage/file.h"
#include "proto/scheduler.pb.h"
#include "server/checkpoint_writer.h"
#include "server/norms_client.h"
#include "server/peer_link.h"
#include "server/restore_source.h"
#include "server/shard_core.h"
#include "server/worker_streams.h"

namespace shoal::server {

// Restores the shard and reports its progress; its parts handle norms, checkpoints and the workers' streams.
//
// Thread-safe. Waits for nothing but its executors and starts no threads except for ParallelFor, so that the
// simulation runs it unchanged. Must be owned through server/job_owner.h: the destructor waits for the
// executors, so it must not run on one of them.
//
// Lock order: pool_mutex_ (for a whole loop), mutex_, then the lock of one part, which takes no other lock of
// the job while it holds its own. Neither mutex_ nor a part's lock is held while the shard works, a peer is
// called, a file is written, or a stream is woken or ended.
//
// What it keeps is bounded: by its parts; for a scheduler that has lost earlier reports, the statistics of
// the last kMaxRounds rounds (the oldest are dropped first); and while a restore takes long, only the newest
// view waits to be restored.
class ShardHost : public ShardEffects {
 public:
  struct Options {
    NodeId self;
    int threads = 1;  // for ParallelFor; 1: runs on the caller's thread
    std::string checkpoint_dir;
    Env* env = nullptr;
    // Makes "timers" (reports, norms), "updates" (Execute), "files" (checkpoints) and "restores" (Install).
    ExecutorFactory executors;
    PeerLink* peers = nullptr;  // outlives the job
    // Sends a report to the scheduler; must not block or call the job. Not called after Close has returned.
    std::function<void(NodeReport)> report;
    RestoreSource::FetchArtifact fetch;  // called on the "restores" executor; may block
  };
  static constexpr size_t kMaxRounds = kRoundStatisticsKept;

  ShardHost(Options options, std::shared_ptr<const ShardConfig> job);
  // Closes, and waits for running work.
  ~ShardHost() override;
  // The job has ended on this server: its streams end, a running restore is abandoned, and nothing more is
  // reported. Never blocks.
  void Close() ABSL_LOCKS_EXCLUDED(mutex_);

  JobId id() const { return job_->job; }
  const ShardConfig& job() const { return *job_; }
  ShardCore& shard() { return *shard_; }

  // Installs the view, and reports success or the reason for failure. Never blocks: once it returns, requests
  // for older views are refused; the restore point is loaded, and then reported, on the "restores" executor.
  // A running restore for an older view ends soon and reports nothing; what it has loaded is kept if the
  // restore point is the same. The same view again is reported again, or retried if it failed. Errors,
  // without effect: FAILED_PRECONDITION for a view of a training other than the first's; OUT_OF_RANGE for one
  // that does not follow the newest (CheckSuccessor).
  absl::Status Install(const View& view) ABSL_LOCKS_EXCLUDED(mutex_);
  // Repeats past reports, which the scheduler may have lost.
  void OnSessionOpened() ABSL_LOCKS_EXCLUDED(mutex_);

  // What is in progress, how long each activity has been without progress, which peers don't answer, refuse,
  // or answer with wrong norms, and how many streams and snapshots there are. Never blocks.
  Heartbeat MakeHeartbeat() ABSL_LOCKS_EXCLUDED(mutex_);

  // Until Detach, wakes `stream` when a block gets a new version (it looks up existing versions itself) and
  // ends it when its view or the job ends. Errors: FAILED_PRECONDITION when it is not for the newest view, or
  // the job is over; those of WorkerStreams::Attach.
  absl::Status Attach(std::shared_ptr<WorkerStream> stream) ABSL_LOCKS_EXCLUDED(mutex_);
  void Detach(const std::shared_ptr<WorkerStream>& stream) ABSL_LOCKS_EXCLUDED(mutex_);

  // ---- ShardEffects ----
  void OnPublished(ViewId view, BlockId block) override;
  void AskNorms(ViewId view, uint32_t peer, const NormsRequest& request) override;
  void OnProgress(const ShardProgress& progress) override;
  bool HasRoomForSnapshot(Version version) override;
  void OnSnapshot(std::shared_ptr<const ShardSnapshot> snapshot) override;
  void OnSnapshotLost(const ShardSnapshot& snapshot, const absl::Status& why) override;
  void OnBlockRestored(ViewId view, uint64_t blocks) override;
  void Execute(std::function<void()> work) override;
  void ParallelFor(uint64_t count, const std::function<void(uint64_t)>& fn) override;

 private:
  // A restore in progress.
  struct Restoring {
    ViewId view;
    uint64_t loaded = 0, blocks = 0;
    absl::Time progress;
  };

  CheckpointWriter::Options WriterOptions();
  // Makes `view` the newest.
  void Begin(const View& view) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Restores the newest view.
  void Restore() ABSL_LOCKS_EXCLUDED(mutex_);
  void ReportInstalled() ABSL_LOCKS_EXCLUDED(mutex_);
  void ReportSoon() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void ReportWhenIdle() ABSL_LOCKS_EXCLUDED(mutex_);
  void ReportProgress() ABSL_LOCKS_EXCLUDED(mutex_);
  Version KnownVersion(Version version) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void NoteRestoreProgress() ABSL_LOCKS_EXCLUDED(mutex_);
  // A report of this job and training.
  NodeReport NewReport() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void AddActivities(Heartbeat* heartbeat) ABSL_LOCKS_EXCLUDED(mutex_);
  Activity RestoreActivity() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void AddTransfer(Heartbeat* heartbeat) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Activity NewActivity(ActivityKind kind, absl::Time progress) const;

  const Options options_;
  const std::shared_ptr<const ShardConfig> job_;
  // Destroyed after the parts that use them.
  const std::unique_ptr<Executor> timers_;
  const std::unique_ptr<Executor> updates_;
  const std::unique_ptr<Executor> files_;
  const std::unique_ptr<Executor> restores_;
  RestoreSource source_;
  std::unique_ptr<ShardCore> shard_;
  NormsClient norms_;
  CheckpointWriter checkpoints_;
  WorkerStreams streams_;

  absl::Mutex mutex_;
  View view_ ABSL_GUARDED_BY(mutex_);                               // the newest
  bool queued_ ABSL_GUARDED_BY(mutex_) = false;                     // a Restore is queued, and has not begun
  std::optional<ViewInstalled> installed_ ABSL_GUARDED_BY(mutex_);  // the outcome for view_, once known
  std::optional<Restoring> restoring_ ABSL_GUARDED_BY(mutex_);
  uint64_t updates_left_ ABSL_GUARDED_BY(mutex_) = 0;  // work passed to Execute and not done yet
  absl::Time updated_ ABSL_GUARDED_BY(mutex_);         // its last progress
  bool report_due_ ABSL_GUARDED_BY(mutex_) = false;    // a ReportProgress is pending
  absl::Time reported_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
  std::deque<RoundStats> rounds_ ABSL_GUARDED_BY(mutex_);          // the most recent, for new sessions
  uint64_t unreported_ ABSL_GUARDED_BY(mutex_) = 0;                // how many of them, counted from the back
  uint64_t contributions_ ABSL_GUARDED_BY(mutex_) = 0;             // as of the last heartbeat
  std::optional<absl::Time> contributed_ ABSL_GUARDED_BY(mutex_);  // when a heartbeat last saw new ones
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;

  absl::Mutex pool_mutex_;  // one loop at a time
  ThreadPool pool_ ABSL_GUARDED_BY(pool_mutex_);
};

}  // namespace shoal::server
