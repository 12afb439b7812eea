// Which checkpoints of a job are being written, are committed, and may go.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/base/types.h"
#include "proto/checkpoint.pb.h"
#include "proto/scheduler.pb.h"
#include "scheduler/records.pb.h"

namespace shoal::scheduler {

// The shards of one restore point on their way to disk. Pure; not thread-safe.
class ShardCollector {
 public:
  // Forgets all: servers start from a new restore point, cut into `shards`.
  void Reset(uint64_t restore_id, uint32_t shards);

  // Files by shard, once every shard of the version is there: once. Reports of other restore points are
  // dropped.
  std::optional<std::vector<CheckpointShard>> Add(const ShardWritten& report);

  // A part of the version could not be written: it can't become whole from this restore point.
  void Fail(Version version);
  bool HasFailed(Version version) const;
  // Nothing up to `version` is needed any more.
  void DropUpTo(Version version);

  // Only the newest versions that are not whole are kept, so many.
  static constexpr size_t kMaxVersions = 64;
  size_t versions() const { return written_.size(); }

 private:
  struct Parts {
    std::map<uint32_t, CheckpointShard> shards;
    bool failed = false;  // and `shards` is empty
  };
  // Null: nothing more is to be known of the version.
  Parts* Find(Version version);

  uint64_t restore_id_ = 0;
  uint32_t shards_ = 0;
  std::map<Version, Parts> written_;
  std::optional<Version> dropped_;  // all up to here
};

// ---- committed ones: in JobStateRecord::checkpoints, ascending ----

const StoredCheckpoint* FindCheckpoint(const JobStateRecord& state, Version version);

// Adds one, in order; false when it is there.
bool AddCheckpoint(StoredCheckpoint checkpoint, JobStateRecord* state);

// Takes it out; false when it is not there.
bool RemoveCheckpoint(Version version, JobStateRecord* state);

// The newest one that is not beyond `limit`; null: none.
const StoredCheckpoint* NewestCheckpoint(const JobStateRecord& state, Version limit);

// Takes out, and returns, those that are neither of the `keep` newest, nor in `needed`, nor an earlier job's:
// these stay on disk anyway, and may be the last that is whole.
std::vector<StoredCheckpoint> TakeUnneeded(uint32_t keep, const std::set<Version>& needed,
                                           JobStateRecord* state);

}  // namespace shoal::scheduler
