// Writes a shard's snapshots to the disk, and reports what was written.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/base/backoff.h"
#include "common/base/executor.h"
#include "common/base/types.h"
#include "common/storage/checkpoint.h"
#include "common/storage/file.h"
#include "common/storage/progress_env.h"
#include "proto/scheduler.pb.h"
#include "server/published.h"
#include "server/shard_config.h"
#include "server/snapshot_queue.h"

namespace shoal::server {

// Until Close, each snapshot of the running restore point ends in a ShardWritten report: written, lost,
// dropped, or failed.
//
// A snapshot for which there is no room on the disk is kept in memory, reported and retried until it is
// written. But one that only serves to restart from gives way to the next, and one that may turn out to be
// the best gives way when the disk has been full for a minute and the training has to wait.
//
// What it keeps is bounded: snapshots for a slow disk (server/snapshot_queue.h; one that is dropped is
// reported as a ShardWritten with an error); and, for a scheduler that has lost earlier reports, those of the
// last kMaxWritten checkpoints (the oldest are dropped first).
//
// Thread-safe; only its executor waits for the disk. Its lock is taken last, and not held while a file is
// written or a callback other than `report` runs: the others may call it back.
class CheckpointWriter {
 public:
  struct Options {
    std::shared_ptr<const ShardConfig> job;
    NodeId self;
    std::string folder;
    Env* env = nullptr;         // outlives it
    Executor* files = nullptr;  // writes and retries; outlives it, but must have stopped when it is destroyed
    // Sends a report; must not block or call the writer. Not called after Close has returned.
    std::function<void(NodeReport)> report;
    // A snapshot has left the queue, so HasRoom may have changed. Called on `files`.
    std::function<void()> on_room;
    // A report of what was written follows: a version's statistics must arrive before its checkpoint. Called
    // on `files`.
    std::function<void()> before_report;
  };
  // What is being written, or will be.
  struct Writing {
    std::string detail;
    absl::Time progress;  // when it last made progress
  };
  static constexpr size_t kMaxWritten = 100;
  // With the one for which a full disk has no room.
  static constexpr size_t kMaxSnapshots = SnapshotQueue::kMaxSize + 1;

  explicit CheckpointWriter(Options options);

  // The training goes on in `view`, which is newer than the last one. If its restore point is another one,
  // the snapshots that wait and the past reports are dropped.
  void Begin(const View& view) ABSL_LOCKS_EXCLUDED(mutex_);
  // Final: starts no more writes, and sends no more reports. Does not wait for a running write.
  void Close() ABSL_LOCKS_EXCLUDED(mutex_);

  // If false, the update that leads to `version` must wait for on_room. Only false for one that may turn out
  // to be the best.
  bool HasRoom(Version version) const ABSL_LOCKS_EXCLUDED(mutex_);
  // Queues a snapshot to be written. Ignored unless it belongs to the newest view's restore point.
  void Add(std::shared_ptr<const ShardSnapshot> snapshot) ABSL_LOCKS_EXCLUDED(mutex_);
  // The snapshot, which has no blocks, could not be made: only reports that.
  void AddLost(const ShardSnapshot& snapshot, const absl::Status& why) ABSL_LOCKS_EXCLUDED(mutex_);

  // Sends the reports of this restore point again, which the scheduler may have lost.
  void RepeatReports() const ABSL_LOCKS_EXCLUDED(mutex_);
  // nullopt: nothing.
  std::optional<Writing> writing() const ABSL_LOCKS_EXCLUDED(mutex_);
  // How many snapshots wait, for their turn or for room on a full disk; at most kMaxSnapshots.
  size_t waiting() const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  bool IsCurrent(RestoreId restore_id) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // The snapshot being retried, or the next one; null: there is none, or the job is over.
  SnapshotQueue::Snapshot Take() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void WriteNext() ABSL_LOCKS_EXCLUDED(mutex_);
  // Takes the next snapshot; null: nothing is left to write.
  SnapshotQueue::Snapshot StartNext() ABSL_LOCKS_EXCLUDED(mutex_);
  absl::StatusOr<CheckpointShard> Write(const ShardSnapshot& snapshot) ABSL_LOCKS_EXCLUDED(mutex_);
  void OnWritten(SnapshotQueue::Snapshot snapshot, const absl::StatusOr<CheckpointShard>& shard)
      ABSL_LOCKS_EXCLUDED(mutex_);
  bool IsRetried(const ShardSnapshot& snapshot, const absl::Status& status)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void NoteProgress() ABSL_LOCKS_EXCLUDED(mutex_);
  std::string Detail() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  ShardWritten NewWritten(const ShardSnapshot& snapshot, const absl::StatusOr<CheckpointShard>& shard) const;
  NodeReport ReportOf(const ShardWritten& written) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Reports it, and keeps it to be repeated.
  void Report(const ShardWritten& written) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const Options options_;
  ProgressEnv env_;

  mutable absl::Mutex mutex_;
  uint64_t training_id_ ABSL_GUARDED_BY(mutex_) = 0;         // of the newest view
  RestoreId restore_id_ ABSL_GUARDED_BY(mutex_);             // the same
  std::deque<NodeReport> written_ ABSL_GUARDED_BY(mutex_);   // of this restore point, for new sessions
  SnapshotQueue snapshots_ ABSL_GUARDED_BY(mutex_);          // waiting
  SnapshotQueue::Snapshot retried_ ABSL_GUARDED_BY(mutex_);  // could not be written; waits for room
  bool posted_ ABSL_GUARDED_BY(mutex_) = false;              // a WriteNext is pending or running
  std::optional<Version> writing_ ABSL_GUARDED_BY(mutex_);   // being written to the disk
  absl::Time progress_ ABSL_GUARDED_BY(mutex_);              // its last progress
  Backoff backoff_ ABSL_GUARDED_BY(mutex_);
  absl::Time full_since_ ABSL_GUARDED_BY(mutex_) =
      absl::InfiniteFuture();  // when writes began to fail; InfiniteFuture: they succeed
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace shoal::server
