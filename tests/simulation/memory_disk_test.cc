#include "tests/simulation/memory_disk.h"

#include <string>
#include <vector>

#include "catch2/catch.hpp"
#include "common/storage/checkpoint.h"

namespace shoal::simulation {
namespace {

// As little as possible survives...
uint64_t Lowest(uint64_t) { return 0; }
// ... and as much as possible.
uint64_t Highest(uint64_t n) { return n - 1; }

TEST_CASE("A file that was synced in a folder that was synced survives a power failure", "[memory_disk]") {
  MemoryDisk disk;
  MemoryEnv env(&disk, 1, nullptr);
  REQUIRE(env.CreateDirs("a/b").ok());
  REQUIRE(env.SyncDir(".").ok());
  REQUIRE(env.SyncDir("a").ok());
  REQUIRE(env.WriteFileAtomic("a/b/file", "bytes").ok());
  for (const Draw& draw : {Draw(Lowest), Draw(Highest)}) {
    disk.LosePower(1, draw);
    REQUIRE(env.ReadFile("a/b/file").value() == "bytes");
  }
}

TEST_CASE("Bytes that were not synced are lost with the machine that wrote them, and with no other",
          "[memory_disk]") {
  MemoryDisk disk;
  MemoryEnv env(&disk, 1, nullptr);
  auto file = env.NewWritableFile("file").value();
  REQUIRE(file->Append("kept").ok());
  REQUIRE(file->Sync().ok());
  REQUIRE(file->Append("lost").ok());
  REQUIRE(env.SyncDir(".").ok());
  disk.LosePower(2, Lowest);
  REQUIRE(env.ReadFile("file").value() == "keptlost");
  disk.LosePower(1, Lowest);
  REQUIRE(env.ReadFile("file").value() == "kept");
}

TEST_CASE("A rename without SyncDir may be undone, with what it replaced and what is in the folder",
          "[memory_disk]") {
  MemoryDisk disk;
  MemoryEnv env(&disk, 1, nullptr);
  REQUIRE(env.CreateDirs("old").ok());
  REQUIRE(env.SyncDir(".").ok());
  REQUIRE(env.WriteFileAtomic("old/file", "bytes").ok());
  REQUIRE(env.Rename("old", "new").ok());
  REQUIRE(env.ReadFile("new/file").value() == "bytes");
  disk.LosePower(1, Lowest);
  REQUIRE(env.ReadFile("old/file").value() == "bytes");
  REQUIRE(!env.FileExists("new"));
}

const std::vector<float> kTheta = {1, 2, 3};

// Writes the only shard of version 4. Returns the manifest to commit.
CheckpointManifest WriteVersion(MemoryEnv* server) {
  ShardFile file;
  file.job = 1;
  file.version = Version(4);
  file.blocks.push_back({BlockId(0), kTheta, {}});
  CheckpointManifest manifest;
  manifest.set_format(kCheckpointFormat);
  manifest.set_job(1);
  manifest.set_version(4);
  manifest.set_parameters(3);
  *manifest.add_shards() = WriteShardFile(server, "root/job-1", file).value();
  return manifest;
}

TEST_CASE("A checkpoint that was committed survives any power failure", "[memory_disk]") {
  for (const Draw& draw : {Draw(Lowest), Draw(Highest)}) {
    MemoryDisk disk;
    MemoryEnv server(&disk, 1, nullptr), scheduler(&disk, 2, nullptr);
    REQUIRE(CommitCheckpoint(&scheduler, "root/job-1", WriteVersion(&server)).ok());
    disk.LosePower(1, draw);
    disk.LosePower(2, draw);
    const auto reader = CheckpointReader::Open(&server, "root/job-1/version-4");
    REQUIRE(reader.status().message() == "");
    REQUIRE(reader->ReadTheta().value() == kTheta);
  }
}

TEST_CASE("A checkpoint that is found in place is made durable before it is acknowledged", "[memory_disk]") {
  MemoryDisk disk;
  MemoryEnv server(&disk, 1, nullptr), scheduler(&disk, 2, nullptr);
  const CheckpointManifest manifest = WriteVersion(&server);
  REQUIRE(CommitCheckpoint(&scheduler, "root/job-1", manifest).ok());
  // As left by a scheduler that was killed before SyncDir.
  REQUIRE(scheduler.Rename("root/job-1/version-4", "root/job-1/elsewhere").ok());
  REQUIRE(scheduler.SyncDir("root/job-1").ok());
  REQUIRE(scheduler.Rename("root/job-1/elsewhere", "root/job-1/version-4").ok());
  REQUIRE(CommitCheckpoint(&scheduler, "root/job-1", manifest).ok());
  disk.LosePower(2, Lowest);
  const auto reader = CheckpointReader::Open(&server, "root/job-1/version-4");
  REQUIRE(reader.status().message() == "");
  REQUIRE(reader->ReadTheta().value() == kTheta);
}

}  // namespace
}  // namespace shoal::simulation
