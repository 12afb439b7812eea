// Snapshots that wait for the disk.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "server/published.h"

namespace shoal::server {

// What a checkpoint is wanted for, in ascending order of how badly.
enum class CheckpointUse {
  kRestart,    // to go on from after a loss: a newer one serves as well
  kCandidate,  // of an evaluated version, which may turn out to be the best
  kResult,     // of the last version
};

// Bounded: a disk that is slower than the job's checkpoints must not take the memory of the machine. At most
// kMaxWaiting wait, and the last version's beside them; with the one that is being written and the one that
// is being taken this is (kMaxWaiting + 3) times the shard's parameters and moments in float32. One that
// can't wait is given up: of those that are wanted least the one whose version has the fewest factors of two,
// of equal ones the oldest. So servers of different speeds, none of which knows what the others give up, keep
// the same versions, and a checkpoint is whole only when all shards have written it. It is no candidate as
// long as HasRoomForCandidate is asked before the update that leads to one. Never the last version's. Pure;
// not thread-safe.
class SnapshotQueue {
 public:
  static constexpr size_t kMaxWaiting = 2;
  using Snapshot = std::shared_ptr<const ShardSnapshot>;

  // Returns the one that is given up for it, which may be itself; null: none.
  Snapshot Add(Snapshot snapshot, CheckpointUse use);

  // False: the update that leads to a candidate has to wait until one is taken.
  bool HasRoomForCandidate() const;

  // The one to be written next; null: none waits.
  Snapshot Take();

  // Of a restore point that is over.
  void Clear() { waiting_.clear(); }

  size_t size() const { return waiting_.size(); }
  uint64_t bytes() const;

 private:
  struct Waiting {
    Snapshot snapshot;
    CheckpointUse use = CheckpointUse::kRestart;
  };

  std::deque<Waiting> waiting_;  // in order of coming
};

}  // namespace shoal::server
