// One block at its primary server: master parameters, optimizer moments, the ledger of the running round,
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
#include "server/shard_config.h"

namespace shoal::server {

// A block's state when it comes from θ_0 or a checkpoint.
struct BlockStart {
  Version version;
  FloatArray theta;
  std::vector<FloatArray> moments;  // in the order of ShardConfig::moment_names
};

// What a round's update takes beside the sum. With the sum and its weight this is the record that a follower
// would need.
struct BlockUpdate {
  Round round;
  double learning_rate = 0;
  double clip = 1;  // factor
};

// Thread-safe: a lock for each block, so that different blocks work side by side. Never blocks on I/O.
//
// All memory of a round is taken before anything changes: with the contribution that needs it, whose sender
// tries again when it can't be had.
class BlockState {
 public:
  // Throws std::bad_alloc.
  BlockState(std::shared_ptr<const ShardConfig> job, BlockId block, std::shared_ptr<ArrayPool> pool,
             BlockStart start);

  BlockId block() const { return block_; }

  enum class AddResult {
    kAdded,
    kDuplicate,  // covered already, or of a round that is over; nothing changed
    kCompleted,  // added, and the round's sum is complete: told to one caller
  };
  // Adds a contribution of the running round. The first one of a range is just held.
  // Errors, which change nothing: see ShardCore::Contribute. Throws std::bad_alloc, without effect.
  absl::StatusOr<AddResult> Add(const ContributionHeader& header, Payload payload)
      ABSL_LOCKS_EXCLUDED(mutex_);

  // What the complete round comes to; only between kCompleted and Apply.
  ContributionStats CompleteStats() const ABSL_LOCKS_EXCLUDED(mutex_);
  // Of the sum; only between kCompleted and Apply.
  double CompleteSquaredNorm() const ABSL_LOCKS_EXCLUDED(mutex_);

  // Turns version t into t+1 with the complete sum of round t = update.round. Called once a round, after
  // kCompleted; to be followed by Publish of what it returns.
  PublishedVersion Apply(const BlockUpdate& update) ABSL_LOCKS_EXCLUDED(mutex_);

  // Makes Apply's version t+1 available. Version t stays available, t-1 is dropped. From then on the next
  // round may complete.
  void Publish(PublishedVersion published) ABSL_LOCKS_EXCLUDED(published_mutex_);

  // θ at version() with a copy of the moments; between Apply and Publish, so that they stand still. Throws
  // std::bad_alloc.
  BlockSnapshot Snapshot() const ABSL_LOCKS_EXCLUDED(mutex_);

  // Errors: OUT_OF_RANGE when it is dropped already, UNAVAILABLE when it is not there yet.
  absl::StatusOr<PublishedVersion> Published(Version version) const ABSL_LOCKS_EXCLUDED(published_mutex_);

  Version version() const { return Version(version_.load(std::memory_order_acquire)); }

  // What the running round waits for, from left to right; empty when its sum is complete.
  std::vector<SlotRange> Missing() const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  absl::Status Check(const ContributionHeader& header, const Payload& payload) const;
  // Whether it is a duplicate; FAILED_PRECONDITION for a round to come.
  absl::StatusOr<bool> IsOver(const ContributionHeader& header) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void UpdatePiece(const OptimizerStep& step, uint64_t begin, absl::Span<const float> gradient, float* out)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Takes what the update of the running round will need, and what a sum may.
  void Reserve() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Makes of θ what goes to workers.
  PayloadEncoder Encoder(const FloatArray& theta, FloatArray memory) const;
  PublishedVersion Finish(Version version, PayloadEncoder encoder) const;

  const std::shared_ptr<const ShardConfig> job_;
  const BlockId block_;
  const SumFormat format_;
  const std::shared_ptr<ArrayPool> pool_;
  const SlotTree tree_;
  const std::vector<DecayRange> decay_;

  mutable absl::Mutex mutex_;
  Coverage<BlockSum> ledger_ ABSL_GUARDED_BY(mutex_);
  FloatArray theta_ ABSL_GUARDED_BY(mutex_);
  std::vector<FloatArray> moments_ ABSL_GUARDED_BY(mutex_);
  FloatArray next_theta_ ABSL_GUARDED_BY(mutex_);    // of the next version; null: not taken yet
  FloatArray next_encoded_ ABSL_GUARDED_BY(mutex_);  // the same; null for f32 too
  FloatArray spare_sum_ ABSL_GUARDED_BY(mutex_);     // for the next sum of two contributions
  std::atomic<uint64_t> version_;                    // written with mutex_ held

  // Apart, so that a subscriber need not wait for an update.
  mutable absl::Mutex published_mutex_;
  std::optional<PublishedVersion> previous_ ABSL_GUARDED_BY(published_mutex_);
  std::optional<PublishedVersion> current_ ABSL_GUARDED_BY(published_mutex_);
};

}  // namespace shoal::server
