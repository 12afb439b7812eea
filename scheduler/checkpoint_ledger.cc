#include "scheduler/checkpoint_ledger.h"

#include <algorithm>
#include <utility>

namespace shoal::scheduler {

void ShardCollector::Reset(uint64_t restore_id, uint32_t shards) {
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
  if (report.restore_id() != restore_id_ || report.shard() >= shards_) return std::nullopt;
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

const StoredCheckpoint* FindCheckpoint(const JobStateRecord& state, Version version) {
  for (const StoredCheckpoint& checkpoint : state.checkpoints()) {
    if (checkpoint.version() == version.value()) return &checkpoint;
  }
  return nullptr;
}

bool AddCheckpoint(StoredCheckpoint checkpoint, JobStateRecord* state) {
  if (FindCheckpoint(*state, Version(checkpoint.version())) != nullptr) return false;
  *state->add_checkpoints() = std::move(checkpoint);
  std::sort(state->mutable_checkpoints()->begin(), state->mutable_checkpoints()->end(),
            [](const StoredCheckpoint& a, const StoredCheckpoint& b) { return a.version() < b.version(); });
  return true;
}

bool RemoveCheckpoint(Version version, JobStateRecord* state) {
  auto* const all = state->mutable_checkpoints();
  const auto found = std::find_if(all->begin(), all->end(), [&](const StoredCheckpoint& checkpoint) {
    return checkpoint.version() == version.value();
  });
  if (found == all->end()) return false;
  all->erase(found);
  return true;
}

const StoredCheckpoint* NewestCheckpoint(const JobStateRecord& state, Version limit) {
  const StoredCheckpoint* newest = nullptr;
  for (const StoredCheckpoint& checkpoint : state.checkpoints()) {
    if (checkpoint.version() <= limit.value()) newest = &checkpoint;
  }
  return newest;
}

std::vector<StoredCheckpoint> TakeUnneeded(uint32_t keep, const std::set<Version>& needed,
                                           JobStateRecord* state) {
  std::vector<StoredCheckpoint> taken;
  std::vector<StoredCheckpoint> kept;
  const int count = state->checkpoints_size();
  for (int i = 0; i < count; ++i) {
    const StoredCheckpoint& checkpoint = state->checkpoints(i);
    const bool stays = checkpoint.foreign() || count - i <= static_cast<int64_t>(keep) ||
                       needed.count(Version(checkpoint.version())) > 0;
    (stays ? kept : taken).push_back(checkpoint);
  }
  state->clear_checkpoints();
  for (StoredCheckpoint& checkpoint : kept) *state->add_checkpoints() = std::move(checkpoint);
  return taken;
}

}  // namespace shoal::scheduler
