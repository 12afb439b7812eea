// One block at its primary server: master parameters, moments, the ledger of the running round,
// published versions.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "common/base/array_pool.h"
#include "common/base/types.h"
#include "common/protocol/coverage.h"
#include "common/protocol/payload.h"
#include "server/block_sum.h"
#include "server/published.h"
#include "server/round_verdict.h"
#include "server/shard_config.h"

namespace shoal::server {

// A block's state when it comes from θ_0 or a checkpoint.
struct BlockStart {
  Version version;
  FloatArray theta;
  std::vector<StateArray> arrays;  // in the order of ShardConfig::array_names
};

// The outcome of a round for a block: together with the job and the block's state it determines the update,
// so any copy of version t to which the record of round t is applied becomes version t+1, bit for bit.
// Movable; copies share the memory of the sum, which must not change.
struct BlockRecord {
  Round round;
  BlockSum sum;  // of all slots, with their statistics
  RoundVerdict verdict;
};

// A round t takes four steps: contributions are added until the sum is complete; Close takes the sum out as a
// record; Apply turns version t into t+1; Publish hands version t+1 out. In between, contributions to round t
// are duplicates, and those to round t+1 are refused: no worker has the version that they need.
//
// Thread-safe: each block has its own lock, so different blocks proceed in parallel. Never blocks on I/O.
//
// All memory for a round is allocated before anything changes, when the contribution that needs it arrives.
// If the allocation fails, the sender retries.
class BlockState {
 public:
  // Throws std::bad_alloc.
  BlockState(std::shared_ptr<const ShardConfig> job, BlockId block, std::shared_ptr<ArrayPool> pool,
             BlockStart start);

  BlockId block() const { return block_; }

  enum class AddResult {
    kAdded,
    kDuplicate,  // already covered, or for a round that is over; nothing changed
    kCompleted,  // added, and the round's sum is now complete; returned to one caller only
  };
  // Adds a contribution of the running round. The first one for a range is just held. Errors, which change
  // nothing: see ShardCore::Contribute. Throws std::bad_alloc, without effect.
  absl::StatusOr<AddResult> Add(const ContributionHeader& header, Payload payload)
      ABSL_LOCKS_EXCLUDED(mutex_);

  // Statistics of the complete round. Call only between kCompleted and Close.
  ContributionStats CompleteStats() const ABSL_LOCKS_EXCLUDED(mutex_);
  // The squared norms that the shards exchange (NormCount). Call only between kCompleted and Close.
  std::vector<double> CompleteSquaredNorms() ABSL_LOCKS_EXCLUDED(mutex_);
  // The gradient norms of earlier rounds, as the block keeps them; empty when the job needs none.
  std::vector<float> RecentNorms() const ABSL_LOCKS_EXCLUDED(mutex_);

  // Takes out the complete sum of `round`, the running one, without a copy. Call once per round, after
  // kCompleted; then set the record's verdict and call Apply.
  BlockRecord Close(Round round) ABSL_LOCKS_EXCLUDED(mutex_);

  // Turns version t into t+1 with the record of round t, the running one; then call Publish. The record may
  // come from another state of this block with the same version; what was added here is dropped. Allocates
  // its large arrays, and may then throw std::bad_alloc without effect, only when nothing was added here in
  // this round.
  void Apply(const BlockRecord& record) ABSL_LOCKS_EXCLUDED(mutex_, published_mutex_);

  // Makes version t+1, the one that Apply has made, available. As many versions stay available as the round
  // policy keeps; the one before these is dropped. From then on the next round may complete.
  void Publish(Version version) ABSL_LOCKS_EXCLUDED(published_mutex_);

  // θ at version() with a copy of the arrays. Call between Apply and Publish, while the arrays can't
  // change. Throws std::bad_alloc.
  BlockSnapshot Snapshot() const ABSL_LOCKS_EXCLUDED(mutex_);

  // Errors: UNAVAILABLE when `version` is the next one; OUT_OF_RANGE when it has already been dropped, or is
  // later than the next one: the caller then has a version that this block never had.
  absl::StatusOr<PublishedVersion> Published(Version version) const ABSL_LOCKS_EXCLUDED(published_mutex_);

  Version version() const { return Version(version_.load(std::memory_order_acquire)); }

  // The slots that the running round still waits for, from left to right; empty when its sum is complete.
  std::vector<SlotRange> Missing() const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  // The pieces that the payload has.
  absl::StatusOr<PieceMap> Check(const ContributionHeader& header, const Payload& payload) const;
  // Whether it is a duplicate; FAILED_PRECONDITION for a future round.
  absl::StatusOr<bool> IsOver(const ContributionHeader& header) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // What is the same for all elements.
  kernels::OptimizerStep StepOf(Round round, const ContributionStats& stats,
                                const RoundVerdict& verdict) const;
  kernels::OptimizerStep StepOf(const kernels::OptimizerStep& step, const UpdateRange& range) const;
  // The arrays of `size` elements of a range, from `begin` on, which is in the block; `gradient` and `out`
  // begin there.
  kernels::OptimizerArrays ArraysOf(const UpdateRange& range, uint64_t begin, uint64_t size,
                                    const float* gradient, float* out) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Writes θ of the next version, updates the arrays, and returns the version.
  PublishedVersion Update(const BlockRecord& record) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // The rules of tensors need a range's whole gradient at once; the others are applied piece by piece, while
  // the piece is in a cache.
  void UpdateInPieces(const BlockRecord& record, float* out, PayloadEncoder* encoder)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void UpdateWhole(const BlockRecord& record, float* out) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Sums of a range's norms, with the direction of its update written to `scratch`, which has the block's
  // size.
  kernels::LambNorms NormsOf(const UpdateRange& range, const kernels::OptimizerStep& step, float* scratch)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Of what is kept beside θ, with the parameters of the new version.
  void UpdateAverageAndNorms(const BlockRecord& record) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Allocates what the running round's update will need.
  void ReserveUpdate() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // The same, and what a sum may need.
  void Reserve() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Encodes θ for the workers.
  PayloadEncoder Encoder(const FloatArray& theta, FloatArray memory) const;
  // The memory in which a version's average is published.
  FloatArray AverageMemory() const;
  void AppendAverage(FloatArray memory, PublishedVersion* version) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  PublishedVersion Finish(Version version, PayloadEncoder encoder) const;

  const std::shared_ptr<const ShardConfig> job_;
  const BlockId block_;
  const SumFormat format_;
  const std::shared_ptr<ArrayPool> pool_;
  const SlotTree tree_;
  const std::vector<UpdateRange>& ranges_;  // of job_

  mutable absl::Mutex mutex_;
  Coverage<BlockSum> ledger_ ABSL_GUARDED_BY(mutex_);
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;  // Close has taken the sum out of ledger_
  FloatArray theta_ ABSL_GUARDED_BY(mutex_);
  std::vector<StateArray> arrays_ ABSL_GUARDED_BY(mutex_);
  FloatArray next_theta_ ABSL_GUARDED_BY(mutex_);    // for the next version; null: not allocated yet
  FloatArray next_encoded_ ABSL_GUARDED_BY(mutex_);  // the same; also null for f32
  FloatArray next_average_ ABSL_GUARDED_BY(mutex_);  // the same; also null when it is not published
  FloatArray spare_sum_ ABSL_GUARDED_BY(mutex_);     // for the next sum of two contributions
  std::atomic<uint64_t> version_;                    // written with mutex_ held
  std::atomic<uint64_t> published_version_;          // the newest, written with published_mutex_ held

  // A separate lock, so that a subscriber need not wait for an update.
  mutable absl::Mutex published_mutex_ ABSL_ACQUIRED_AFTER(mutex_);
  std::optional<PublishedVersion> applied_ ABSL_GUARDED_BY(published_mutex_);  // for Publish
  std::vector<PublishedVersion> published_ ABSL_GUARDED_BY(published_mutex_);  // ascending, not empty
};

}  // namespace shoal::server
