// What one server does for one job: "A round, at a server" in docs/protocol.md. No socket, file, thread or
// clock: events come in by calls, effects go out through ShardEffects. The daemon and the simulation drive
// the same class.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "common/base/array_pool.h"
#include "common/base/types.h"
#include "common/protocol/payload.h"
#include "common/protocol/view_key.h"
#include "proto/parameter.pb.h"
#include "proto/scheduler.pb.h"
#include "server/published.h"
#include "server/shard_config.h"
#include "server/state_source.h"

namespace shoal::server {

class ShardState;

// Effects. Called by the thread whose event had the effect, without a lock held, so they may call the shard;
// with several threads the calls may overlap and swap, so each names its view. None may block for long.
class ShardEffects {
 public:
  virtual ~ShardEffects() = default;

  // The block has a new version, which Published gives from now on.
  virtual void OnPublished(ViewId view, BlockId block) = 0;

  // Asks the primary of shard `peer` in `view`, at once unless it is being asked already, and again and again
  // until OnNorms has taken what it answers, norms of a later round are asked for, or the view is over.
  virtual void AskNorms(ViewId view, uint32_t peer, const NormsRequest& request) = 0;

  // A version of the whole shard is complete. Each round's statistics come once, with shard 0.
  virtual void OnProgress(const ShardProgress& progress) = 0;

  // Whether the update that leads to `version`, which the job wants on disk, may go on. When it may not:
  // later ShardCore::ResumeUpdates.
  virtual bool HasRoomForSnapshot(Version /*version*/) { return true; }

  // The snapshot of a version that the job wants on disk.
  virtual void OnSnapshot(std::shared_ptr<const ShardSnapshot> snapshot) = 0;
  // It could not be made; it has no blocks.
  virtual void OnSnapshotLost(const ShardSnapshot& /*snapshot*/, const absl::Status& /*why*/) {}

  // A block of `view`'s restore point, which has so many in this shard, has been loaded.
  virtual void OnBlockRestored(ViewId /*view*/, uint64_t /*blocks*/) {}

  // Runs what takes longer than one block's update (all blocks after a norm exchange). Once, soon, on any
  // thread; at once, here, by default.
  virtual void Execute(std::function<void()> work) { work(); }

  // Calls fn(0), ..., fn(count - 1), on several threads or, by default, on this one; returns when all have
  // returned. Called from Execute's work, and from Install.
  virtual void ParallelFor(uint64_t count, const std::function<void(uint64_t)>& fn) {
    for (uint64_t i = 0; i < count; ++i) fn(i);
  }
};

enum class ContributionResult {
  kAdded,
  kDuplicate,  // covered by what is here, or of a round that is over: same bits, so dropping it is safe
};

struct VersionRange {
  Version lowest;
  Version highest;
};

// Thread-safe, but Install is called by one thread at a time. Contributions of different blocks are added in
// parallel. Deterministic when driven by one thread.
class ShardCore {
 public:
  // `host` and `source` must outlive it.
  ShardCore(std::shared_ptr<const ShardConfig> job, NodeId self, ShardEffects* host, StateSource* source);
  ~ShardCore();

  // `view` is to be installed next: requests of older views are refused from now on, and an Install of an
  // older one that runs returns soon, without effect (what it loads is kept when `view` has the same restore
  // point). An older view than the newest, or one of another training, is ignored. Never blocks.
  void Expect(const View& view) ABSL_LOCKS_EXCLUDED(mutex_);
  // For good: no view is served, and an Install that runs returns soon, without effect. Never blocks.
  void Close() ABSL_LOCKS_EXCLUDED(mutex_);

  // Takes on `view`: from the start of the call requests of other views are refused; when it returns OK,
  // those of `view` are served. State is kept when restore_id is the one that is loaded, else loaded from the
  // source. The same view again: OK at once, or a new attempt when the last one failed. Errors:
  // FAILED_PRECONDITION for an older view, also when the newer one comes while this runs, for one of another
  // training than the first, and when closed;
  // INVALID_ARGUMENT for one that can't be served (followers, more shards than blocks, another cut with the
  // same restore_id, a restore point that can't be); what the source says. After an error no view is served.
  absl::Status Install(const View& view) ABSL_LOCKS_EXCLUDED(mutex_);

  // Adds one contribution; the last one of a round updates the block (at once, or with clipping when the
  // norms are known). Errors, none of which changes anything:
  //   FAILED_PRECONDITION  of another job, training or view than is served, or a round that this block has
  //                        not reached
  //   INVALID_ARGUMENT     not a block of this shard or a round of the training, not a node of the slot tree,
  //                        another format or size
  //   DATA_LOSS            header and payload don't have their checksum: send it again
  //   RESOURCE_EXHAUSTED   there is no memory for it: send it again later
  absl::StatusOr<ContributionResult> Contribute(const ContributionHeader& header, Payload payload);
  // How many calls of Contribute had no error.
  uint64_t contributions() const { return contributions_.load(std::memory_order_relaxed); }

  // Goes on with the updates that HasRoomForSnapshot has held back, as far as it lets them. Takes as long as
  // the updates.
  void ResumeUpdates() ABSL_LOCKS_EXCLUDED(mutex_);

  // A peer asks for our norms of a round: empty ones while they are not complete. Its own are complete, so it
  // is asked for them when we need them; but whoever calls, nothing that he says counts. Errors:
  // FAILED_PRECONDITION for another view or a round out of reach; INVALID_ARGUMENT in a job that does not
  // clip, and from this shard's own or one that is not in the view.
  absl::StatusOr<Norms> GetNorms(const NormsRequest& request);
  // What the peer of norms.shard(), which the view names, has answered. Errors, none of which changes
  // anything: FAILED_PRECONDITION for another view or a round out of reach; INVALID_ARGUMENT in a job that
  // does not clip, for this shard's own or one that is not in the view, a wrong count or a negative norm;
  // DATA_LOSS without their checksum. And DATA_LOSS when they differ from what it has answered before: then
  // the round does not go on.
  absl::Status OnNorms(const Norms& norms);

  // Errors: FAILED_PRECONDITION for another view; INVALID_ARGUMENT when the block is not here; OUT_OF_RANGE
  // when `version` is dropped already; UNAVAILABLE when it is not there yet.
  absl::StatusOr<PublishedVersion> Published(const ViewKey& view, BlockId block, Version version) const;

  // Errors: FAILED_PRECONDITION for another view.
  absl::StatusOr<VersionRange> Versions(const ViewKey& view) const;

  // The blocks of this shard under `view`, ascending. Errors: FAILED_PRECONDITION for another view.
  absl::StatusOr<std::vector<BlockId>> Blocks(const ViewKey& view) const;

  // Where the shard stands, with what it waits for and without rounds; nullopt when no view is served.
  std::optional<ShardProgress> Progress() const;

  // The view that is served; its number is 0 when none is.
  ViewKey serving() const ABSL_LOCKS_EXCLUDED(mutex_);

  // The restore point whose state, or what became of it, is held; 0: none.
  RestoreId held_restore_id() const ABSL_LOCKS_EXCLUDED(mutex_);

  const ShardConfig& job() const { return *job_; }

 private:
  absl::StatusOr<std::shared_ptr<ShardState>> StateOf(const ViewKey& view) const ABSL_LOCKS_EXCLUDED(mutex_);
  // Whether `view` may be installed.
  absl::Status CheckIsNewest(const ViewKey& view) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<std::shared_ptr<ShardState>> StateFor(const View& view, uint32_t shard,
                                                       std::shared_ptr<ShardState> held);
  absl::Status CheckRestorePoint(const RestorePoint& restore) const;
  bool IsWanted(RestoreId restore_id) const ABSL_LOCKS_EXCLUDED(mutex_);

  const std::shared_ptr<const ShardConfig> job_;
  const NodeId self_;
  ShardEffects* const host_;
  StateSource* const source_;
  const std::shared_ptr<ArrayPool> pool_;
  std::atomic<uint64_t> contributions_{0};

  mutable absl::Mutex mutex_;
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
  ViewKey newest_ ABSL_GUARDED_BY(mutex_);        // of all views seen
  RestoreId restore_id_ ABSL_GUARDED_BY(mutex_);  // of newest_
  ViewId serving_ ABSL_GUARDED_BY(mutex_);        // newest_, or 0: none
  std::shared_ptr<ShardState> state_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace shoal::server
