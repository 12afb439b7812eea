// Which checkpoints of a job are being written.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "common/base/types.h"
#include "proto/checkpoint.pb.h"
#include "proto/scheduler.pb.h"

namespace shoal::scheduler {

// Collects the shard files written since one restore point. Pure; not thread-safe.
class ShardCollector {
 public:
  // Forgets everything: servers start from a new restore point, divided into `shards` shards.
  void Reset(RestoreId restore_id, uint32_t shards);

  // Returns the files by shard, once, when every shard of the version has been written. Reports for other
  // restore points are dropped.
  std::optional<std::vector<CheckpointShard>> Add(const ShardWritten& report);

  // A part of the version could not be written, so it can't be completed from this restore point.
  void Fail(Version version);
  bool HasFailed(Version version) const;
  // Nothing up to `version` is needed any more.
  void DropUpTo(Version version);

  // At most this many incomplete versions are kept, the newest ones.
  static constexpr size_t kMaxVersions = 64;
  size_t versions() const { return written_.size(); }

 private:
  struct Parts {
    std::map<uint32_t, CheckpointShard> shards;
    bool failed = false;  // then `shards` is empty
  };
  // Null: reports on the version are no longer needed.
  Parts* Find(Version version);

  RestoreId restore_id_;
  uint32_t shards_ = 0;
  std::map<Version, Parts> written_;
  std::optional<Version> dropped_;  // all versions up to here
};

}  // namespace shoal::scheduler
