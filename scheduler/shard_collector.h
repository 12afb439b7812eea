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

// The shards of one restore point on their way to disk. Pure; not thread-safe.
class ShardCollector {
 public:
  // Forgets all: servers start from a new restore point, cut into `shards`.
  void Reset(RestoreId restore_id, uint32_t shards);

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

  RestoreId restore_id_;
  uint32_t shards_ = 0;
  std::map<Version, Parts> written_;
  std::optional<Version> dropped_;  // all up to here
};

}  // namespace shoal::scheduler
