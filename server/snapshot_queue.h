// Snapshots waiting to be written to disk.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "server/published.h"

namespace shoal::server {

// What a checkpoint is for, in ascending order of importance.
enum class CheckpointUse {
  kRestart,    // to continue from after a loss: a newer one serves as well
  kCandidate,  // of an evaluated version, which may turn out to be the best
  kResult,     // of the last version
};

// Bounded: a disk that can't keep up with the job's checkpoints must not use up the machine's memory. At most
// kMaxWaiting snapshots wait, besides the last version's; together with the one being written and the one
// being taken, that is (kMaxWaiting + 3) times the shard's parameters and arrays in float32. When there are
// too many, one is dropped: among the least important, the one whose version has the fewest factors of two;
// among equals, the oldest. A checkpoint is complete only when all shards have written it, so this rule makes
// servers of different speeds keep the same versions, though none knows what the others drop. A candidate is
// never dropped if HasRoomForCandidate is asked before the update that leads to it; the last version's
// snapshot never is. Pure; not thread-safe.
class SnapshotQueue {
 public:
  static constexpr size_t kMaxWaiting = 2;
  static constexpr size_t kMaxSize = kMaxWaiting + 1;  // with the last version's
  using Snapshot = std::shared_ptr<const ShardSnapshot>;

  // Returns the snapshot dropped to make room, which may be `snapshot` itself; null: none.
  Snapshot Add(Snapshot snapshot, CheckpointUse use);

  // If false, the update that leads to a candidate must wait until a snapshot is taken.
  bool HasRoomForCandidate() const;

  // Removes and returns the one to write next; null: none waits.
  Snapshot Take();

  // Drops the snapshots of a restore point that is over.
  void Clear() { waiting_.clear(); }

  size_t size() const { return waiting_.size(); }
  uint64_t bytes() const;

 private:
  struct Waiting {
    Snapshot snapshot;
    CheckpointUse use = CheckpointUse::kRestart;
  };

  std::deque<Waiting> waiting_;  // in order of arrival
};

}  // namespace shoal::server
