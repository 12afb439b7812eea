// One job on one server: ShardCore with timers, threads, files and the other servers around it.
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
#include "common/base/backoff.h"
#include "common/base/executor.h"
#include "common/protocol/contribution_stats.h"
#include "common/storage/checkpoint.h"
#include "common/storage/file.h"
#include "common/storage/progress_env.h"
#include "kernels/cpu/thread_pool.h"
#include "proto/scheduler.pb.h"
#include "server/peer_link.h"
#include "server/restore_source.h"
#include "server/shard_core.h"
#include "server/snapshot_queue.h"

namespace shoal::server {

// A worker's Pull or Push as the job sees it: it ends with its view. Called on any thread, with none of the
// job's locks held.
class WorkerStream {
 public:
  virtual ~WorkerStream() = default;
  virtual ViewKey view() const = 0;
  // A new version of the block is available: see server/subscription.h.
  virtual void Wake(BlockId /*block*/) {}
  virtual void End(const absl::Status& status) = 0;
};

// Thread-safe. Waits for nothing but its executors and starts no threads except for ParallelFor, so that the
// simulation runs it unchanged. Must be owned through server/job_owner.h: the destructor waits for the
// executors, so it must not run on one of them.
//
// A snapshot for which there is no room on the disk is kept in memory, reported and retried until it is
// written. But one that only serves to restart from gives way to the next, and one that may turn out to be
// the best gives way when the disk has been full for a minute and the training has to wait.
//
// What it keeps is bounded: snapshots for a slow disk (server/snapshot_queue.h; one that is dropped is
// reported as a ShardWritten with an error); for each peer, the newest request and one call; and, for a
// scheduler that has lost earlier reports, the statistics of the last kMaxRounds rounds and the reports of
// the last kMaxWritten checkpoints (the oldest are dropped first).
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
  static constexpr size_t kMaxWritten = 100;
  static constexpr size_t kMaxStreams = 4096;  // of one view, attached at a time: two for each worker

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
  // without effect: FAILED_PRECONDITION for a view of another training than the first; OUT_OF_RANGE for one
  // that does not follow the newest (CheckSuccessor).
  absl::Status Install(const View& view) ABSL_LOCKS_EXCLUDED(mutex_);
  // Repeats past reports, which the scheduler may have lost.
  void OnSessionOpened() ABSL_LOCKS_EXCLUDED(mutex_);

  // What is in progress, how long each has been without progress, and which peers don't answer, refuse, or
  // answer with wrong norms. Never blocks.
  Heartbeat MakeHeartbeat() ABSL_LOCKS_EXCLUDED(mutex_);

  // Until Detach, wakes `stream` when a block gets a new version (it looks up existing versions itself) and
  // ends it when its view or the job ends. Errors: FAILED_PRECONDITION when it is not for the newest view, or
  // the job is over; RESOURCE_EXHAUSTED beyond kMaxStreams.
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
  class Life;
  // A restore in progress.
  struct Restoring {
    ViewId view;
    uint64_t loaded = 0, blocks = 0;
    absl::Time progress;
  };
  // What this shard asks of another shard's primary.
  struct Peer {
    NormsRequest request;         // the newest
    bool wanted = false;          // not answered yet
    bool calling = false;         // a call is in progress
    bool again = false;           // and the peer may have advanced since that call reached it
    uint64_t calls = 0;           // so far
    absl::Status error;           // why it can't be reached or refuses to exchange norms; OK: neither
    absl::Time failed;            // when `error` began
    Backoff backoff{0};           // while it refuses
    std::optional<Round> warned;  // the round for which a refusal was last logged
  };

  // Ends the streams of all views other than `except`.
  void EndStreams(ViewId except, const absl::Status& status) ABSL_LOCKS_EXCLUDED(mutex_);
  void Restore(const View& view) ABSL_LOCKS_EXCLUDED(mutex_);
  // Does nothing while a call is in progress. `calls`: only if exactly this many were made so far.
  void CallPeer(ViewId view, uint32_t peer, std::optional<uint64_t> calls = std::nullopt)
      ABSL_LOCKS_EXCLUDED(mutex_);
  void OnNormsAnswer(const NormsRequest& request, uint32_t peer, const absl::StatusOr<Norms>& answer)
      ABSL_LOCKS_EXCLUDED(mutex_);
  // Checks and applies the peer's answer; returns whether it was complete.
  absl::StatusOr<bool> TakeNorms(const NormsRequest& request, uint32_t peer, const Norms& answer);
  Peer* FindPeer(ViewId view, uint32_t peer) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Returns how long to wait before trying again, after a failure.
  absl::Duration NoteAnswer(uint32_t peer, Round round, const absl::Status& status)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void ReportInstalled() ABSL_LOCKS_EXCLUDED(mutex_);
  void ReportSoon() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void ReportWhenIdle() ABSL_LOCKS_EXCLUDED(mutex_);
  void ReportProgress() ABSL_LOCKS_EXCLUDED(mutex_);
  Version KnownVersion(Version version) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  CheckpointUse UseOf(Version version) const;
  void WriteNextSnapshot() ABSL_LOCKS_EXCLUDED(mutex_);
  SnapshotQueue::Snapshot TakeSnapshot() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool IsRetried(const ShardSnapshot& snapshot, const absl::Status& status)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<CheckpointShard> WriteSnapshot(const ShardSnapshot& snapshot) ABSL_LOCKS_EXCLUDED(mutex_);
  void NoteRestoreProgress() ABSL_LOCKS_EXCLUDED(mutex_);
  void NoteWriteProgress() ABSL_LOCKS_EXCLUDED(mutex_);
  ShardWritten NewWritten(const ShardSnapshot& snapshot, const absl::StatusOr<CheckpointShard>& shard) const;
  // A report of this job and training.
  NodeReport NewReport() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Report(const ShardWritten& written) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void ReportWritten(const ShardWritten& written) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void AddTransfer(Heartbeat* heartbeat) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Activity NewActivity(ActivityKind kind, absl::Time progress) const;
  std::string WritingDetail() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const Options options_;
  const std::shared_ptr<const ShardConfig> job_;
  RestoreSource source_;
  ProgressEnv checkpoint_env_;  // where checkpoints are written
  std::unique_ptr<ShardCore> shard_;
  const std::shared_ptr<Life> life_;  // for peers' answers, which may arrive after the job's end

  absl::Mutex mutex_;
  View view_ ABSL_GUARDED_BY(mutex_);      // the newest
  ViewId queued_ ABSL_GUARDED_BY(mutex_);  // the view whose Restore is queued; 0: none
  std::optional<ViewInstalled> installed_ ABSL_GUARDED_BY(mutex_);  // the outcome for view_, once known
  std::optional<Restoring> restoring_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::shared_ptr<WorkerStream>> streams_ ABSL_GUARDED_BY(mutex_);  // in order of arrival
  std::map<uint32_t, Peer> peers_ ABSL_GUARDED_BY(mutex_);                      // of view_, by shard
  uint64_t updates_left_ ABSL_GUARDED_BY(mutex_) = 0;  // work passed to Execute and not done yet
  absl::Time updated_ ABSL_GUARDED_BY(mutex_);         // its last progress
  bool report_due_ ABSL_GUARDED_BY(mutex_) = false;    // a ReportProgress is pending
  absl::Time reported_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
  std::deque<RoundStats> rounds_ ABSL_GUARDED_BY(mutex_);   // the most recent, for new sessions
  uint64_t unreported_ ABSL_GUARDED_BY(mutex_) = 0;         // how many of them, counted from the back
  std::deque<NodeReport> written_ ABSL_GUARDED_BY(mutex_);  // of this restore point, for new sessions
  SnapshotQueue snapshots_ ABSL_GUARDED_BY(mutex_);
  uint64_t contributions_ ABSL_GUARDED_BY(mutex_) = 0;             // as of the last heartbeat
  std::optional<absl::Time> contributed_ ABSL_GUARDED_BY(mutex_);  // when a heartbeat last saw new ones
  bool write_posted_ ABSL_GUARDED_BY(mutex_) = false;        // a WriteNextSnapshot is pending or running
  std::optional<Version> writing_ ABSL_GUARDED_BY(mutex_);   // being written to the disk
  absl::Time write_progress_ ABSL_GUARDED_BY(mutex_);        // its last progress
  SnapshotQueue::Snapshot retried_ ABSL_GUARDED_BY(mutex_);  // could not be written; waits for room
  Backoff write_backoff_ ABSL_GUARDED_BY(mutex_);
  absl::Time full_since_ ABSL_GUARDED_BY(mutex_) =
      absl::InfiniteFuture();  // since when nothing could be written
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;

  absl::Mutex pool_mutex_;  // one loop at a time
  ThreadPool pool_ ABSL_GUARDED_BY(pool_mutex_);
  const std::unique_ptr<Executor> timers_;
  const std::unique_ptr<Executor> updates_;
  const std::unique_ptr<Executor> files_;
  const std::unique_ptr<Executor> restores_;
};

}  // namespace shoal::server
