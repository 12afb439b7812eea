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

// Called by the thread whose event had the effect, with no lock held, so they may call the shard. With
// several threads the calls may overlap or arrive out of order, so each names its view. None may block for
// long.
class ShardEffects {
 public:
  virtual ~ShardEffects() = default;

  // The block has a new version, which Published returns from now on.
  virtual void OnPublished(ViewId view, BlockId block) = 0;

  // Asks the primary of shard `peer` in `view`, at once unless a call to it is already in progress, and
  // repeats until OnNorms has accepted its answer, norms of a later round are requested, or the view is over.
  virtual void AskNorms(ViewId view, uint32_t peer, const NormsRequest& request) = 0;

  // A version of the whole shard is complete. Each round's statistics are passed once, by shard 0.
  virtual void OnProgress(const ShardProgress& progress) = 0;

  // Whether the update that leads to `version`, which the job wants on disk, may proceed. If not, call
  // ShardCore::ResumeUpdates later.
  virtual bool HasRoomForSnapshot(Version /*version*/) { return true; }

  // The snapshot of a version that the job wants on disk.
  virtual void OnSnapshot(std::shared_ptr<const ShardSnapshot> snapshot) = 0;
  // The snapshot could not be made; it has no blocks.
  virtual void OnSnapshotLost(const ShardSnapshot& /*snapshot*/, const absl::Status& /*why*/) {}

  // A block of `view`'s restore point has been loaded. `blocks`: the number of blocks in this shard.
  virtual void OnBlockRestored(ViewId /*view*/, uint64_t /*blocks*/) {}

  // Runs work that takes longer than one block's update (all blocks after a norm exchange): once, soon, on
  // any thread. The default runs it at once, on this thread.
  virtual void Execute(std::function<void()> work) { work(); }

  // Calls fn(0), ..., fn(count - 1), on several threads or, by default, on this one, and returns when all
  // have returned. Called from Execute's work, and from Install.
  virtual void ParallelFor(uint64_t count, const std::function<void(uint64_t)>& fn) {
    for (uint64_t i = 0; i < count; ++i) fn(i);
  }
};

enum class ContributionResult {
  kAdded,
  kDuplicate,  // already covered, or for a round that is over: same bits, so dropping it is safe
};

struct VersionRange {
  Version lowest;
  Version highest;
};

// Thread-safe, except that Install must be called by one thread at a time. Contributions of different blocks
// are added in parallel. Deterministic when driven by one thread.
class ShardCore {
 public:
  // `host` and `source` must outlive it.
  ShardCore(std::shared_ptr<const ShardConfig> job, NodeId self, ShardEffects* host, StateSource* source);
  ~ShardCore();

  // `view` is to be installed next: from now on requests for older views are refused, and a running Install
  // of an older view returns soon, without effect (what it has loaded is kept if `view` has the same restore
  // point). A view older than the newest, or of another training, is ignored. Never blocks.
  void Expect(const View& view) ABSL_LOCKS_EXCLUDED(mutex_);
  // Final: no view is served any more, and a running Install returns soon, without effect. Never blocks.
  void Close() ABSL_LOCKS_EXCLUDED(mutex_);

  // Installs `view`: from the start of the call requests for other views are refused; once it returns OK,
  // those for `view` are served. State is kept if its restore_id is the one loaded, otherwise loaded from the
  // source. The same view again returns OK at once, or tries again if the last attempt failed. Errors:
  // FAILED_PRECONDITION for an older view (even if the newer one arrives during the call), for a view of
  // a training other than the first view's, and when closed; INVALID_ARGUMENT for a view that can't be served
  // (followers, more shards than blocks, another division into shards with the same restore_id, an impossible
  // restore point); errors of the source. After an error no view is served.
  absl::Status Install(const View& view) ABSL_LOCKS_EXCLUDED(mutex_);

  // Adds one contribution; the last one of a round updates the block (at once, or with clipping once the
  // norms are known). Errors, none of which changes anything:
  //   FAILED_PRECONDITION  for a job, training or view other than the one served, or a round that this block
  //                        has not reached
  //   INVALID_ARGUMENT     not a block of this shard or a round of the training, not a node of the slot tree,
  //                        another format or size
  //   DATA_LOSS            header and payload don't match their checksum: send it again
  //   RESOURCE_EXHAUSTED   not enough memory for it: send it again later
  absl::StatusOr<ContributionResult> Contribute(const ContributionHeader& header, Payload payload);
  // The number of Contribute calls that succeeded.
  uint64_t contributions() const { return contributions_.load(std::memory_order_relaxed); }

  // Resumes the updates that HasRoomForSnapshot has held back, as far as it now allows. Takes as long as the
  // updates do.
  void ResumeUpdates() ABSL_LOCKS_EXCLUDED(mutex_);

  // A peer asks for our norms of a round; the answer is empty until they are complete. The peer's own norms
  // are complete, so if we need them we ask it back; nothing else in the request, from any sender, is relied
  // on. Errors: FAILED_PRECONDITION for another view or a round that this shard has not reached;
  // INVALID_ARGUMENT in a job that does not clip, and for a request that names this shard itself or a shard
  // that is not in the view.
  absl::StatusOr<Norms> GetNorms(const NormsRequest& request);
  // The answer of the peer that holds norms.shard() in the view. Errors, none of which changes anything:
  // FAILED_PRECONDITION for another view or a round that this shard has not reached; INVALID_ARGUMENT in a
  // job that does not clip, for this shard itself or a shard that is not in the view, a wrong count or a
  // negative norm; DATA_LOSS when the checksum does not match. Also DATA_LOSS when they differ from what the
  // peer answered before: then the round does not go on.
  absl::Status OnNorms(const Norms& norms);

  // Errors: FAILED_PRECONDITION for another view; INVALID_ARGUMENT when the block is not in this shard;
  // UNAVAILABLE when `version` is the next one; OUT_OF_RANGE when it has already been dropped, or is later.
  absl::StatusOr<PublishedVersion> Published(const ViewKey& view, BlockId block, Version version) const;

  // Errors: FAILED_PRECONDITION for another view.
  absl::StatusOr<VersionRange> Versions(const ViewKey& view) const;

  // The blocks of this shard under `view`, ascending. Errors: FAILED_PRECONDITION for another view.
  absl::StatusOr<std::vector<BlockId>> Blocks(const ViewKey& view) const;

  // The shard's progress, with the slots it waits for and without rounds; nullopt when no view is served.
  std::optional<ShardProgress> Progress() const;

  // The view being served; its number is 0 when there is none.
  ViewKey serving() const ABSL_LOCKS_EXCLUDED(mutex_);

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
  ViewKey newest_ ABSL_GUARDED_BY(mutex_);        // newest of all views seen
  RestoreId restore_id_ ABSL_GUARDED_BY(mutex_);  // of newest_
  ViewId serving_ ABSL_GUARDED_BY(mutex_);        // newest_, or 0: none
  std::shared_ptr<ShardState> state_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace shoal::server
