#include "scheduler/shard_collector.h"

namespace shoal::scheduler {

void ShardCollector::Reset(RestoreId restore_id, uint32_t shards) {
  restore_id_ = restore_id;
  shards_ = shards;
  written_.clear();
  dropped_.reset();
}

ShardCollector::Parts* ShardCollector::Find(Version version) {
  if (dropped_ && version <= *dropped_) return nullptr;
  Parts* const parts = &written_[version];
  if (written_.size() <= kMaxVersions) return parts;
  const bool oldest = written_.begin()->first == version;
  DropUpTo(written_.begin()->first);
  return oldest ? nullptr : parts;
}

void ShardCollector::Fail(Version version) {
  if (Parts* const parts = Find(version)) *parts = {{}, true};
}

bool ShardCollector::HasFailed(Version version) const {
  const auto found = written_.find(version);
  return found != written_.end() && found->second.failed;
}

void ShardCollector::DropUpTo(Version version) {
  written_.erase(written_.begin(), written_.upper_bound(version));
  if (!dropped_ || *dropped_ < version) dropped_ = version;
}

std::optional<std::vector<CheckpointShard>> ShardCollector::Add(const ShardWritten& report) {
  if (RestoreId(report.restore_id()) != restore_id_ || report.shard() >= shards_) return std::nullopt;
  Parts* const parts = Find(Version(report.version()));
  if (parts == nullptr || parts->failed || parts->shards.size() == shards_) return std::nullopt;
  auto& shards = parts->shards;
  CheckpointShard& shard = shards[report.shard()];
  shard.set_file(report.file());
  shard.set_bytes(report.bytes());
  shard.set_sha256(report.sha256());
  *shard.mutable_block_crc32c() = report.block_crc32c();
  if (shards.size() < shards_) return std::nullopt;
  std::vector<CheckpointShard> files;
  for (const auto& [index, file] : shards) files.push_back(file);
  return files;
}

}  // namespace shoal::scheduler
