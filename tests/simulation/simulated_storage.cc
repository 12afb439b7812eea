#include "tests/simulation/simulated_storage.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/checkpoint.h"
#include "common/file.h"
#include "common/sha256.h"

namespace shoal::simulation {
namespace {

std::vector<float> Copy(const FloatArray& values, uint64_t size) {
  return {values.get(), values.get() + size};
}

class StoredReader : public server::StateReader {
 public:
  explicit StoredReader(const std::map<uint64_t, StoredBlock>* blocks) : blocks_(blocks) {}

  absl::Status Read(BlockId block, const server::BlockContents& out) override {
    const auto found = blocks_->find(block.value());
    if (found == blocks_->end()) return absl::NotFoundError("no such block");
    std::copy(found->second.theta.begin(), found->second.theta.end(), out.theta.begin());
    for (size_t i = 0; i < out.moments.size(); ++i) {
      std::copy(found->second.moments[i].begin(), found->second.moments[i].end(), out.moments[i].begin());
    }
    return absl::OkStatus();
  }

 private:
  const std::map<uint64_t, StoredBlock>* const blocks_;
};

class InitialReader : public server::StateReader {
 public:
  absl::Status Read(BlockId block, const server::BlockContents& out) override {
    for (size_t i = 0; i < out.theta.size(); ++i) {
      out.theta[i] = 0.125f * static_cast<float>((block.value() * 7 + i * 3) % 11) - 0.5f;
    }
    return absl::OkStatus();
  }
};

}  // namespace

CheckpointShard SimulatedStorage::WriteShard(const std::string& folder,
                                             const server::ShardSnapshot& snapshot) {
  CheckpointShard shard;
  shard.set_file(ShardFileName(snapshot.shard, snapshot.shards));
  shard.set_bytes(SizeBytes(snapshot));
  auto& file = partial_[JoinPath(folder, PartialCheckpointName(snapshot.version))][shard.file()];
  file.clear();
  for (const server::BlockSnapshot& block : snapshot.blocks) {
    StoredBlock& stored = file[block.block.value()];
    stored.theta = Copy(block.theta, block.size);
    for (const FloatArray& moment : block.moments) stored.moments.push_back(Copy(moment, block.size));
  }
  return shard;
}

absl::StatusOr<std::string> SimulatedStorage::Commit(const std::string& folder,
                                                     const CheckpointManifest& manifest) {
  const Version version(manifest.version());
  const std::string path = JoinPath(folder, CheckpointName(version));
  if (committed_.count(path) > 0) return path;
  Shards& shards = partial_[JoinPath(folder, PartialCheckpointName(version))];
  std::map<uint64_t, StoredBlock> blocks;
  for (const CheckpointShard& shard : manifest.shards()) {
    const auto found = shards.find(shard.file());
    if (found == shards.end()) return absl::FailedPreconditionError(absl::StrCat("no file ", shard.file()));
    blocks.insert(found->second.begin(), found->second.end());
  }
  committed_[path] = std::move(blocks);
  partial_.erase(JoinPath(folder, PartialCheckpointName(version)));
  return path;
}

void SimulatedStorage::Delete(const std::string& folder, Version version) {
  committed_.erase(JoinPath(folder, CheckpointName(version)));
  partial_.erase(JoinPath(folder, PartialCheckpointName(version)));
}

void SimulatedStorage::DeletePartial(const std::string& folder) {
  for (auto it = partial_.begin(); it != partial_.end();) {
    it = DirName(it->first) == folder ? partial_.erase(it) : std::next(it);
  }
}

const std::map<uint64_t, StoredBlock>* SimulatedStorage::Find(const std::string& checkpoint) const {
  const auto found = committed_.find(checkpoint);
  return found == committed_.end() ? nullptr : &found->second;
}

absl::StatusOr<std::string> SimulatedStorage::ThetaSha256(const std::string& checkpoint) const {
  const auto* blocks = Find(checkpoint);
  if (blocks == nullptr) return absl::NotFoundError(absl::StrCat("no checkpoint ", checkpoint));
  Sha256 sha256;
  for (const auto& [block, stored] : *blocks) {
    sha256.Add(stored.theta.data(), stored.theta.size() * sizeof(float));
  }
  return sha256.HexDigest();
}

absl::StatusOr<std::unique_ptr<server::StateReader>> SimulatedSource::Open(
    const RestorePoint& restore, absl::Span<const BlockId> /*blocks*/) {
  if (restore.checkpoint().empty()) return std::make_unique<InitialReader>();
  const auto* blocks = storage_->Find(restore.checkpoint());
  if (blocks == nullptr) return absl::NotFoundError(absl::StrCat("no checkpoint ", restore.checkpoint()));
  return std::make_unique<StoredReader>(blocks);
}

}  // namespace shoal::simulation
