#include "common/storage/checkpoint.h"

#include <cerrno>
#include <vector>

#include "catch2/catch.hpp"
#include "common/base/sha256.h"
#include "common/storage/fault_env.h"
#include "common/storage/test_dir.h"

namespace shoal {
namespace {

// Three shards of two blocks; block b's elements are b + i / 8.
std::vector<float> Theta(uint64_t block) {
  std::vector<float> values(5 + block);
  for (size_t i = 0; i < values.size(); ++i)
    values[i] = static_cast<float>(block) + static_cast<float>(i) / 8;
  return values;
}

absl::StatusOr<CheckpointShard> WriteShard(Env* env, const std::string& folder, uint32_t shard,
                                           uint64_t writer = 1) {
  const std::vector<float> first = Theta(shard), second = Theta(shard + 3), array(8, 0.5f);
  ShardFile file;
  file.job = 7;
  file.writer = writer;
  file.version = Version(120);
  file.shard = shard;
  file.shards = 3;
  file.array_names = {"momentum"};
  file.blocks = {{BlockId(shard), first, {absl::MakeConstSpan(array).first(first.size())}},
                 {BlockId(shard + 3), second, {absl::MakeConstSpan(array)}}};
  file.blocks[1].arrays = {absl::MakeConstSpan(second)};
  return WriteShardFile(env, folder, file);
}

// The same blocks in one shard.
absl::StatusOr<CheckpointShard> WriteWhole(Env* env, const std::string& folder) {
  std::vector<std::vector<float>> thetas, arrays;
  for (uint64_t block = 0; block < 6; ++block) {
    thetas.push_back(Theta(block));
    arrays.push_back(block < 3 ? std::vector<float>(thetas.back().size(), 0.5f) : thetas.back());
  }
  ShardFile file;
  file.job = 7;
  file.version = Version(120);
  file.array_names = {"momentum"};
  for (uint64_t block = 0; block < 6; ++block) {
    file.blocks.push_back({BlockId(block), thetas[block], {absl::MakeConstSpan(arrays[block])}});
  }
  return WriteShardFile(env, folder, file);
}

CheckpointManifest WriteAll(Env* env, const std::string& folder) {
  CheckpointManifest manifest;
  manifest.set_job(7);
  manifest.set_version(120);
  for (uint64_t block = 0; block < 6; ++block) manifest.set_parameters(manifest.parameters() + 5 + block);
  for (uint32_t shard = 0; shard < 3; ++shard) {
    const auto written = WriteShard(env, folder, shard);
    REQUIRE(written.ok());
    *manifest.add_shards() = *written;
  }
  return manifest;
}

TEST_CASE("A committed checkpoint reads back, and θ's digest is that of its bytes in order") {
  TestDir dir;
  const CheckpointManifest manifest = WriteAll(PosixEnv(), dir.path());
  CHECK(ListCheckpoints(PosixEnv(), dir.path())->empty());  // not before the commit
  const auto path = CommitCheckpoint(PosixEnv(), dir.path(), manifest);
  REQUIRE(path.ok());
  CHECK(CommitCheckpoint(PosixEnv(), dir.path(), manifest).ok());  // twice is harmless
  CHECK(*ListCheckpoints(PosixEnv(), dir.path()) == std::vector<Version>{Version(120)});

  const auto reader = CheckpointReader::Open(PosixEnv(), *path);
  REQUIRE(reader.ok());
  std::vector<float> expected;
  for (uint64_t block = 0; block < 6; ++block) {
    const std::vector<float> values = Theta(block);
    expected.insert(expected.end(), values.begin(), values.end());
  }
  CHECK(*reader->ReadTheta() == expected);
  const std::string bytes(reinterpret_cast<const char*>(expected.data()), expected.size() * sizeof(float));
  CHECK(*reader->Verify() == Sha256Hex(bytes));
  std::vector<float> array(8);
  CHECK(reader->ReadBlock("momentum", BlockId(3), absl::MakeSpan(array)).ok());
  CHECK(array == Theta(3));
  CHECK(absl::IsInvalidArgument(reader->ReadBlock("theta", BlockId(0), absl::MakeSpan(array))));
  CHECK(absl::IsInvalidArgument(reader->ReadBlock("exp_avg", BlockId(0), absl::MakeSpan(array))));
}

TEST_CASE("An existing version is not taken for one of another training, nor for one with other bits") {
  TestDir dir;
  const CheckpointManifest manifest = WriteAll(PosixEnv(), dir.path());
  REQUIRE(CommitCheckpoint(PosixEnv(), dir.path(), manifest).ok());
  CheckpointManifest other = manifest;
  other.set_job(8);  // it continued this training: its versions have the same bits
  CHECK(CommitCheckpoint(PosixEnv(), dir.path(), other).ok());
  other.set_spec_sha256("another");
  CHECK(absl::IsFailedPrecondition(CommitCheckpoint(PosixEnv(), dir.path(), other).status()));
  other = manifest;
  other.set_plan_sha256("another");
  CHECK(absl::IsFailedPrecondition(CommitCheckpoint(PosixEnv(), dir.path(), other).status()));
  other = manifest;
  other.mutable_shards(1)->set_block_crc32c(3, 1);
  CHECK(absl::IsFailedPrecondition(CommitCheckpoint(PosixEnv(), dir.path(), other).status()));
}

TEST_CASE("The same version cut into another number of shards is compared block by block") {
  TestDir dir, elsewhere;
  const CheckpointManifest manifest = WriteAll(PosixEnv(), dir.path());
  REQUIRE(CommitCheckpoint(PosixEnv(), dir.path(), manifest).ok());
  CheckpointManifest cut = manifest;
  cut.clear_shards();
  *cut.add_shards() = *WriteWhole(PosixEnv(), elsewhere.path());
  CHECK(CommitCheckpoint(PosixEnv(), dir.path(), cut).ok());
  cut.mutable_shards(0)->set_block_crc32c(4, cut.shards(0).block_crc32c(4) ^ 1);
  const absl::Status differs = CommitCheckpoint(PosixEnv(), dir.path(), cut).status();
  CHECK(absl::IsFailedPrecondition(differs));
  CHECK_THAT(std::string(differs.message()), Catch::Matchers::Contains("block 2 has other bits"));
}

std::string FlipIn(const std::string& path) {
  std::string bytes = *PosixEnv()->ReadFile(path);
  bytes[bytes.size() - 3] ^= 1;
  REQUIRE(PosixEnv()->WriteFileAtomic(path, bytes).ok());
  return path;
}

TEST_CASE("An existing version is read before it is taken for the one to be committed") {
  TestDir dir;
  const CheckpointManifest manifest = WriteAll(PosixEnv(), dir.path());
  const std::string path = *CommitCheckpoint(PosixEnv(), dir.path(), manifest);
  const std::string shard = JoinPath(path, "shard-1-of-3.safetensors");
  FaultEnv env(PosixEnv());
  SECTION("a bit has flipped") { FlipIn(shard); }
  SECTION("a shard is gone") { REQUIRE(PosixEnv()->DeleteFile(shard).ok()); }
  SECTION("a sector can't be read") { env.SetRules({FaultRule{"version-120/shard-1", 0, 0, EIO}}); }
  CHECK_FALSE(CommitCheckpoint(&env, dir.path(), manifest).ok());  // and nothing is in its place
  CHECK(PosixEnv()->FileExists(path));
  WriteAll(PosixEnv(), dir.path());
  REQUIRE(CommitCheckpoint(&env, dir.path(), manifest).ok());
  CHECK(CheckpointReader::Open(PosixEnv(), path)->Verify().ok());
  CHECK(PosixEnv()->FileExists(path + ".damaged"));
}

TEST_CASE(
    "A missing or empty checkpoint folder means that the storage is not there; an emptied one does not") {
  TestDir dir;
  const std::string folder = dir / "mount/job-1";
  const std::string path = *CommitCheckpoint(PosixEnv(), folder, WriteAll(PosixEnv(), folder));
  CHECK(CheckStorage(PosixEnv(), folder).ok());
  REQUIRE(PosixEnv()->DeleteTree(path).ok());
  CHECK(CheckStorage(PosixEnv(), folder).ok());
  REQUIRE(PosixEnv()->DeleteTree(dir / "mount").ok());
  const absl::Status missing = CheckStorage(PosixEnv(), folder);
  CHECK(IsStorageTrouble(missing));
  CHECK_THAT(std::string(missing.message()), Catch::Matchers::Contains(folder + " is missing"));
  REQUIRE(PosixEnv()->CreateDirs(folder).ok());
  CHECK_THAT(std::string(CheckStorage(PosixEnv(), folder).message()),
             Catch::Matchers::Contains(folder + " is empty"));
  WriteAll(PosixEnv(), folder);  // by a server that has not mounted it
  CHECK(IsStorageTrouble(CheckStorage(PosixEnv(), folder)));
  CHECK(IsStorageTrouble(FileError(ESTALE, "Stale file handle")));
  CHECK(IsStorageTrouble(FileError(ETIMEDOUT, "Connection timed out")));
  CHECK(IsStorageTrouble(FileError(EHOSTUNREACH, "No route to host")));
}

TEST_CASE("Two servers that write the same shard don't share a file, and the commit removes what one left") {
  TestDir dir;
  FaultEnv env(PosixEnv(), {FaultRule{"shard-", 0, 100, EIO}});
  CHECK_FALSE(WriteShard(&env, dir.path(), 0, /*writer=*/3).ok());
  env.SetRules({FaultRule{"shard-", 0, 100, EIO}});
  CHECK_FALSE(WriteShard(&env, dir.path(), 0, /*writer=*/4).ok());
  const std::string partial = dir / PartialCheckpointName(Version(120), RestoreId(0));
  CHECK(PosixEnv()->ListDir(partial)->size() == 2);
  const auto path = CommitCheckpoint(PosixEnv(), dir.path(), WriteAll(PosixEnv(), dir.path()));
  REQUIRE(path.ok());
  CHECK(PosixEnv()->ListDir(*path)->size() == 4);  // three shards and the manifest
}

TEST_CASE("Leftovers are removed, committed versions and other folders stay") {
  TestDir dir;
  CHECK(DeletePartialCheckpoints(PosixEnv(), dir / "nothing").ok());
  REQUIRE(CommitCheckpoint(PosixEnv(), dir.path(), WriteAll(PosixEnv(), dir.path())).ok());
  REQUIRE(WriteShard(PosixEnv(), dir.path(), 1).ok());
  REQUIRE(PosixEnv()->CreateDirs(dir / "mine.partial").ok());
  CHECK(PosixEnv()->FileExists(dir / "version-120.0.partial"));
  CHECK(DeletePartialCheckpoints(PosixEnv(), dir.path()).ok());
  CHECK_FALSE(PosixEnv()->FileExists(dir / "version-120.0.partial"));
  CHECK(PosixEnv()->FileExists(dir / "version-120"));
  CHECK(PosixEnv()->FileExists(dir / "mine.partial"));
}

TEST_CASE("Deleting the parts of a version leaves the committed one, whoever wrote it") {
  TestDir dir;
  REQUIRE(CommitCheckpoint(PosixEnv(), dir.path(), WriteAll(PosixEnv(), dir.path())).ok());
  REQUIRE(WriteShard(PosixEnv(), dir.path(), 1).ok());
  CHECK(DeleteCheckpointParts(PosixEnv(), dir.path(), Version(120), RestoreId(0)).ok());
  CHECK_FALSE(PosixEnv()->FileExists(dir / PartialCheckpointName(Version(120), RestoreId(0))));
  REQUIRE(PosixEnv()->FileExists(dir / "version-120"));
  CHECK(CheckpointReader::Open(PosixEnv(), dir / "version-120")->Verify().ok());
  CHECK(DeleteCheckpointParts(PosixEnv(), dir.path(), Version(120), RestoreId(0)).ok());
}

TEST_CASE("What servers of two restore points write of a version is kept apart") {
  TestDir dir;
  const CheckpointManifest manifest = WriteAll(PosixEnv(), dir.path());
  ShardFile later;
  later.job = 7;
  later.version = Version(120);
  later.restore_id = RestoreId(3);
  REQUIRE(WriteShardFile(PosixEnv(), dir.path(), later).ok());
  const auto left = [&] {
    return std::make_pair(PosixEnv()->FileExists(dir / "version-120.0.partial"),
                          PosixEnv()->FileExists(dir / "version-120.3.partial"));
  };
  CHECK(left() == std::make_pair(true, true));
  SECTION("one is committed, and deleted again") {
    REQUIRE(CommitCheckpoint(PosixEnv(), dir.path(), manifest).ok());
    CHECK(DeleteCheckpoint(PosixEnv(), dir.path(), Version(120)).ok());
    CHECK(left() == std::make_pair(false, true));
    CHECK(ListCheckpoints(PosixEnv(), dir.path())->empty());
  }
  SECTION("one is deleted") {
    CHECK(DeleteCheckpointParts(PosixEnv(), dir.path(), Version(120), RestoreId(3)).ok());
    CHECK(left() == std::make_pair(true, false));
  }
  SECTION("the former ones are") {
    REQUIRE(PosixEnv()->CreateDirs(dir / "version-9.partial").ok());  // its deletion was interrupted
    CHECK(DeletePartialCheckpoints(PosixEnv(), dir.path(), RestoreId(3)).ok());
    CHECK(left() == std::make_pair(false, true));
    CHECK_FALSE(PosixEnv()->FileExists(dir / "version-9.partial"));
  }
}

TEST_CASE("A missing shard keeps a checkpoint from being committed") {
  TestDir dir;
  const CheckpointManifest manifest = WriteAll(PosixEnv(), dir.path());
  REQUIRE(PosixEnv()->DeleteFile(dir / "version-120.0.partial/shard-1-of-3.safetensors").ok());
  CHECK(absl::IsDataLoss(CommitCheckpoint(PosixEnv(), dir.path(), manifest).status()));
  CHECK(ListCheckpoints(PosixEnv(), dir.path())->empty());
}

TEST_CASE(
    "Whichever disk operation fails, a checkpoint is complete or absent, and the next attempt "
    "succeeds") {
  TestDir dir;
  FaultEnv env(PosixEnv());
  for (uint64_t nth = 1;; ++nth) {
    env.SetRules({FaultRule{"", nth, 0, EIO}});
    absl::Status status;
    CheckpointManifest manifest;
    manifest.set_job(7);
    manifest.set_version(120);
    manifest.set_parameters(45);
    for (uint32_t shard = 0; shard < 3 && status.ok(); ++shard) {
      const auto written = WriteShard(&env, dir.path(), shard);
      status = written.status();
      if (written.ok()) *manifest.add_shards() = *written;
    }
    if (status.ok()) status = CommitCheckpoint(&env, dir.path(), manifest).status();
    const uint64_t operations = env.operations();
    env.SetRules({});
    const auto versions = ListCheckpoints(PosixEnv(), dir.path());
    REQUIRE(versions.ok());
    for (Version version : *versions) {
      const auto reader = CheckpointReader::Open(PosixEnv(), dir / CheckpointName(version));
      REQUIRE(reader.ok());
      REQUIRE(reader->Verify().ok());
    }
    if (operations < nth) {  // no operation was left to fail
      REQUIRE(status.ok());
      CHECK(nth > 10);
      break;
    }
    REQUIRE(DeleteCheckpoint(PosixEnv(), dir.path(), Version(120)).ok());
    REQUIRE(DeletePartialCheckpoints(PosixEnv(), dir.path()).ok());
  }
}

TEST_CASE("A full disk is reported, and nothing is left on it; so is a read-only one") {
  TestDir dir;
  FaultEnv env(PosixEnv(), {FaultRule{"shard-", 0, 100, GENERATE(ENOSPC, EDQUOT, EROFS)}});
  CHECK(absl::IsResourceExhausted(WriteShard(&env, dir.path(), 0).status()));
}

}  // namespace
}  // namespace shoal
