// A shard's state for one restore point: its blocks, the norms of the running rounds, and what it waits for.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "common/protocol/shard_map.h"
#include "server/block_state.h"
#include "server/norm_ledger.h"
#include "server/shard_core.h"

namespace shoal::server {

// Thread-safe. While calls are in progress it may outlive its place in the ShardCore; effects then name a
// view that is over.
class ShardState : public std::enable_shared_from_this<ShardState> {
 public:
  struct Place {
    RestoreId restore_id;
    uint32_t shard = 0;
    uint32_t shards = 1;
  };
  // `starts`: one for each of the shard's blocks, ascending.
  ShardState(std::shared_ptr<const ShardConfig> job, Place place, ShardEffects* host,
             const std::shared_ptr<ArrayPool>& pool, std::vector<BlockStart> starts);

  const Place& place() const { return place_; }
  ViewKey view() const ABSL_LOCKS_EXCLUDED(mutex_);

  // From now on effects carry `view`; norms still missing from an earlier view's peers are requested again.
  void Resume(const ViewKey& view) ABSL_LOCKS_EXCLUDED(mutex_);

  absl::StatusOr<ContributionResult> Contribute(const ContributionHeader& header, Payload payload);
  void ResumeUpdates() ABSL_LOCKS_EXCLUDED(mutex_);
  absl::StatusOr<Norms> GetNorms(const NormsRequest& request) ABSL_LOCKS_EXCLUDED(mutex_);
  absl::Status OnNorms(const Norms& norms) ABSL_LOCKS_EXCLUDED(mutex_);
  absl::StatusOr<PublishedVersion> Published(BlockId block, Version version) const;
  VersionRange Versions() const;
  std::vector<BlockId> Blocks() const {
    return ShardMap(place_.shards).BlocksOf(place_.shard, job_->blocks.size());
  }
  ShardProgress Progress() const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  // Collected until the whole shard has reached a version.
  struct Arrivals {
    size_t blocks = 0;  // how many have reached it
    ContributionStats stats;
    std::shared_ptr<ShardSnapshot> snapshot;  // when a checkpoint is due; has no blocks when lost
    absl::Status lost;                        // why
  };

  // A block's update that waits until there is room for a snapshot.
  struct HeldUpdate {
    BlockState* block = nullptr;
    Round round;
    RoundVerdict verdict;
  };

  absl::StatusOr<BlockState*> Find(uint64_t block) const;
  // Whether the shard may ask for norms or send them.
  absl::Status CheckPeer(uint32_t shard) const;
  void OnComplete(BlockState* block, Round round) ABSL_LOCKS_EXCLUDED(mutex_);
  void CollectNorms(Round round) ABSL_LOCKS_EXCLUDED(mutex_);
  void AskNorms(Round round) ABSL_LOCKS_EXCLUDED(mutex_);
  void UpdateOnceJudged(Round round) ABSL_LOCKS_EXCLUDED(mutex_);
  void Update(BlockState* block, Round round, const RoundVerdict& verdict) ABSL_LOCKS_EXCLUDED(mutex_);
  bool MayUpdate(Round round) const;
  absl::StatusOr<std::optional<BlockSnapshot>> SnapshotOf(BlockState* block, Version version) const;
  void Reached(BlockState* block, Round round, const ContributionStats& stats, const RoundVerdict& verdict)
      ABSL_LOCKS_EXCLUDED(mutex_);
  absl::Status CheckReached(Round round) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool Lacks(Round round, uint32_t peer) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  NormsRequest NormsRequestOf(Round round) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Norms NormsMessage(Round round) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  ShardProgress NewProgress(Version version) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const std::shared_ptr<const ShardConfig> job_;
  const Place place_;
  ShardEffects* const host_;
  std::vector<std::unique_ptr<BlockState>> blocks_;  // by ShardMap::PlaceOf

  mutable absl::Mutex mutex_;
  ViewKey view_ ABSL_GUARDED_BY(mutex_);
  NormLedger norms_ ABSL_GUARDED_BY(mutex_);
  Round running_ ABSL_GUARDED_BY(mutex_);          // the round of the blocks that are furthest behind
  size_t complete_ ABSL_GUARDED_BY(mutex_) = 0;    // blocks whose sum of running_ is complete (with norms)
  bool updating_ ABSL_GUARDED_BY(mutex_) = false;  // running_ is being applied, after its verdict
  std::vector<HeldUpdate> held_ ABSL_GUARDED_BY(mutex_);
  std::map<Version, Arrivals> arrivals_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace shoal::server
