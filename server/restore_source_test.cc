#include "server/restore_source.h"

#include <memory>
#include <vector>

#include "catch2/catch.hpp"
#include "common/storage/checkpoint.h"
#include "common/storage/test_dir.h"

namespace shoal::server {
namespace {

constexpr uint64_t kBlocks = 5;

std::shared_ptr<const ShardConfig> Job() {
  auto job = std::make_shared<ShardConfig>();
  job->array_names = {"momentum"};
  for (uint64_t block = 0; block < kBlocks; ++block) job->blocks.push_back({4 * block, 4});
  return job;
}

// A committed checkpoint in two shards: θ of block b is b, its momentum -b.
std::string Commit(const std::string& folder) {
  CheckpointManifest manifest;
  manifest.set_version(8);
  manifest.set_parameters(4 * kBlocks);
  for (uint32_t shard : {0, 1}) {
    std::vector<std::vector<float>> values;
    ShardFile file;
    file.version = Version(8);
    file.shard = shard;
    file.shards = 2;
    file.array_names = {"momentum"};
    for (uint64_t block = 0; block < kBlocks; ++block) {
      values.emplace_back(4, static_cast<float>(block));
      values.emplace_back(4, -static_cast<float>(block));
    }
    for (uint64_t block = shard; block < kBlocks; block += 2) {
      file.blocks.push_back(
          {BlockId(block), values[2 * block], {absl::MakeConstSpan(values[2 * block + 1])}});
    }
    *manifest.add_shards() = *WriteShardFile(PosixEnv(), folder, file);
  }
  return *CommitCheckpoint(PosixEnv(), folder, manifest);
}

// Reads the blocks as a server of shard `shard` of `shards` does.
absl::Status Restore(const std::string& checkpoint, uint32_t shard, uint32_t shards,
                     bool* in_order = nullptr) {
  RestoreSource source(
      PosixEnv(), Job(), [](const Artifact&, const Progress&) { return absl::UnimplementedError("none"); },
      NoProgress);
  RestorePoint restore;
  restore.set_version(8);
  restore.set_checkpoint(checkpoint);
  std::vector<BlockId> blocks;
  for (uint64_t block = shard; block < kBlocks; block += shards) blocks.push_back(BlockId(block));
  const auto reader = source.Open(restore, blocks);
  if (!reader.ok()) return reader.status();
  if (in_order != nullptr) *in_order = (*reader)->in_order();
  for (BlockId block : blocks) {
    std::vector<float> theta(4), momentum(4);
    const absl::Status status = (*reader)->Read(block, {absl::MakeSpan(theta), {absl::MakeSpan(momentum)}});
    if (!status.ok()) return status;
    CHECK(theta == std::vector<float>(4, static_cast<float>(block.value())));
    CHECK(momentum == std::vector<float>(4, -static_cast<float>(block.value())));
  }
  return absl::OkStatus();
}

TEST_CASE(
    "Blocks are restored however the checkpoint was divided; a shard's own file is read front to back") {
  const TestDir dir;
  const std::string path = Commit(dir.path());
  for (uint32_t shards = 1; shards <= 4; ++shards) {
    for (uint32_t shard = 0; shard < shards; ++shard) {
      bool in_order = false;
      CHECK(Restore(path, shard, shards, &in_order).ok());
      CHECK(in_order == (shards == 2));
    }
  }
}

TEST_CASE("Damage to what a server reads is blamed on the checkpoint, other errors on the server") {
  const TestDir dir;
  const std::string path = Commit(dir.path());
  const std::string file = JoinPath(path, ShardFileName(1, 2));
  std::string bytes = *PosixEnv()->ReadFile(file);
  bytes[bytes.size() - 1] ^= 1;  // the last block's momentum
  REQUIRE(PosixEnv()->WriteFileAtomic(file, bytes).ok());
  CHECK(absl::IsDataLoss(Restore(path, 1, 2)));
  CHECK(absl::IsDataLoss(Restore(path, 0, 1)));
  CHECK(Restore(path, 0, 2).ok());  // does not need it
  REQUIRE(PosixEnv()->DeleteFile(file).ok());
  CHECK(absl::IsDataLoss(Restore(path, 0, 2)));
  CHECK(absl::IsNotFound(Restore(dir / "version-9", 0, 2)));
}

}  // namespace
}  // namespace shoal::server
