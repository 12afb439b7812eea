// A checkpoint's files hold what was written, or the damage is noticed.
#include <cmath>
#include <limits>
#include <memory>
#include <utility>
#include <vector>

#include "catch2/catch.hpp"
#include "common/storage/checkpoint.h"
#include "common/storage/fault_env.h"
#include "common/storage/test_dir.h"

namespace shoal {
namespace {

constexpr uint64_t kBlocks = 3;
constexpr uint32_t kShards = 2;

std::vector<float> Values(uint64_t block, float first) {
  std::vector<float> values(3 + block);
  for (size_t i = 0; i < values.size(); ++i) values[i] = first + static_cast<float>(i) / 4;
  return values;
}

struct Shard {
  uint64_t job = 7;
  uint64_t version = 120;
  float first = 1;  // of each block
};

absl::StatusOr<CheckpointShard> Write(const std::string& folder, uint32_t shard, const Shard& contents = {}) {
  std::vector<std::vector<float>> values;
  ShardFile file;
  file.job = contents.job;
  file.version = Version(contents.version);
  file.shard = shard;
  file.shards = kShards;
  file.array_names = {"momentum"};
  for (uint64_t block = 0; block < kBlocks; ++block) values.push_back(Values(block, contents.first));
  for (uint64_t block = shard; block < kBlocks; block += kShards) {
    file.blocks.push_back({BlockId(block), values[block], {absl::MakeConstSpan(values[block])}});
  }
  return WriteShardFile(PosixEnv(), folder, file);
}

CheckpointManifest ManifestOf(const std::vector<CheckpointShard>& shards) {
  CheckpointManifest manifest;
  manifest.set_job(7);
  manifest.set_job_name("name");
  manifest.set_spec_sha256("spec");
  manifest.set_plan_sha256("plan");
  manifest.set_numerics_text("seed: 1\n");
  manifest.set_plan_text("labels: 2\n");
  manifest.set_version(120);
  for (uint64_t block = 0; block < kBlocks; ++block)
    manifest.set_parameters(manifest.parameters() + 3 + block);
  for (const CheckpointShard& shard : shards) *manifest.add_shards() = shard;
  return manifest;
}

// A committed checkpoint; its path.
std::string Commit(const std::string& folder) {
  const auto path = CommitCheckpoint(PosixEnv(), folder, ManifestOf({*Write(folder, 0), *Write(folder, 1)}),
                                     "{\"evaluations\": []}\n");
  REQUIRE(path.ok());
  return *path;
}

// A file of which one bit is read inverted.
class FlippedFile : public RandomAccessFile {
 public:
  FlippedFile(std::unique_ptr<RandomAccessFile> base, uint64_t bit) : base_(std::move(base)), bit_(bit) {}
  uint64_t size() const override { return base_->size(); }
  absl::Status Read(uint64_t offset, absl::Span<char> out) const override {
    const absl::Status status = base_->Read(offset, out);
    const uint64_t place = bit_ / 8;
    if (place >= offset && place < offset + out.size())
      out[place - offset] ^= static_cast<char>(1 << (bit_ % 8));
    return status;
  }

 private:
  const std::unique_ptr<RandomAccessFile> base_;
  const uint64_t bit_;
};

class FlippingEnv : public FaultEnv {
 public:
  FlippingEnv(std::string path, uint64_t bit) : FaultEnv(PosixEnv()), path_(std::move(path)), bit_(bit) {}
  absl::StatusOr<std::unique_ptr<RandomAccessFile>> NewRandomAccessFile(const std::string& path) override {
    auto file = FaultEnv::NewRandomAccessFile(path);
    if (!file.ok() || path != path_) return file;
    return std::make_unique<FlippedFile>(*std::move(file), bit_);
  }

 private:
  const std::string path_;
  const uint64_t bit_;
};

// What a restore does with a checkpoint of which it reads only some blocks.
absl::Status ReadBlocks(const CheckpointReader& reader, uint64_t first, uint64_t step) {
  for (uint64_t block = first; block < kBlocks; block += step) {
    std::vector<float> values(reader.block_sizes()[block]);
    for (const char* name : {"theta", "momentum"}) {
      const absl::Status status = reader.ReadBlock(name, BlockId(block), absl::MakeSpan(values));
      if (!status.ok()) return status;
    }
  }
  return absl::OkStatus();
}

TEST_CASE("No bit of any file of a checkpoint can flip unnoticed") {
  TestDir dir;
  const std::string path = Commit(dir.path());
  REQUIRE(CheckpointReader::Open(PosixEnv(), path)->Verify().ok());
  const auto names = PosixEnv()->ListDir(path);
  REQUIRE(names->size() == kShards + 2);  // shards, history, manifest
  for (const std::string& name : *names) {
    const std::string file = JoinPath(path, name);
    const uint64_t bits = 8 * *PosixEnv()->FileSize(file);
    for (uint64_t bit = 0; bit < bits; ++bit) {
      FlippingEnv env(file, bit);
      const auto reader = CheckpointReader::Open(&env, path);
      const absl::Status verified = reader.ok() ? reader->Verify().status() : reader.status();
      if (!absl::IsDataLoss(verified)) FAIL(file << ", bit " << bit << ": " << verified.ToString());
      // Also by a reader of single blocks, as long as the bit is in a file that it needs.
      if (name == "history.json" || !reader.ok()) continue;
      if (!absl::IsDataLoss(ReadBlocks(*reader, 0, 1))) FAIL(file << ", bit " << bit << ", by blocks");
    }
  }
}

TEST_CASE("A shard file that is truncated or has trailing bytes is noticed") {
  TestDir dir;
  const std::string file = JoinPath(Commit(dir.path()), ShardFileName(1, kShards));
  const std::string bytes = *PosixEnv()->ReadFile(file);
  for (const std::string& other : {bytes.substr(0, bytes.size() - 4), bytes + "1234", std::string()}) {
    REQUIRE(PosixEnv()->WriteFileAtomic(file, other).ok());
    const auto reader = CheckpointReader::Open(PosixEnv(), DirName(file));
    CHECK(absl::IsDataLoss(reader.status()));
    CHECK_THAT(std::string(reader.status().message()), Catch::Matchers::Contains("shard-1-of-2"));
  }
}

TEST_CASE("A checkpoint with missing files is damaged; a folder without any is not a checkpoint") {
  TestDir dir;
  const std::string path = Commit(dir.path());
  const std::vector<std::string> names = *PosixEnv()->ListDir(path);
  for (const std::string& name : names) {
    const std::string file = JoinPath(path, name);
    REQUIRE(PosixEnv()->Rename(file, dir / "away").ok());
    const auto reader = CheckpointReader::Open(PosixEnv(), path);
    const absl::Status status = reader.ok() ? reader->Verify().status() : reader.status();
    INFO(name);
    CHECK(absl::IsDataLoss(status));
    CHECK_THAT(std::string(status.message()), Catch::Matchers::Contains(name));
    REQUIRE(PosixEnv()->Rename(dir / "away", file).ok());
  }
  REQUIRE(CheckpointReader::Open(PosixEnv(), path)->Verify().ok());
  CHECK(absl::IsNotFound(ReadManifest(PosixEnv(), dir.path()).status()));
  CHECK(absl::IsNotFound(ReadManifest(PosixEnv(), dir / "nothing").status()));
}

TEST_CASE("A commit accepts no shard file but the one that its server has reported") {
  TestDir dir;
  const CheckpointManifest manifest = ManifestOf({*Write(dir.path(), 0), *Write(dir.path(), 1)});
  const auto committed = [&] { return CommitCheckpoint(PosixEnv(), dir.path(), manifest).status(); };
  const std::string file =
      JoinPath(dir / PartialCheckpointName(Version(120), RestoreId(0)), ShardFileName(1, kShards));
  SECTION("of the same size, from another run") { REQUIRE(Write(dir.path(), 1, {7, 120, /*first=*/2}).ok()); }
  SECTION("of another job") { REQUIRE(Write(dir.path(), 1, {8, 120}).ok()); }
  SECTION("of another version") {
    TestDir other;
    REQUIRE(Write(other.path(), 1, {7, 121}).ok());
    REQUIRE(PosixEnv()
                ->Rename(JoinPath(other / PartialCheckpointName(Version(121), RestoreId(0)),
                                  ShardFileName(1, kShards)),
                         file)
                .ok());
  }
  SECTION("torn, with its size") {
    std::string bytes = *PosixEnv()->ReadFile(file);
    bytes.replace(bytes.size() - 8, 8, 8, '\0');
    REQUIRE(PosixEnv()->WriteFileAtomic(file, bytes).ok());
  }
  CHECK(absl::IsDataLoss(committed()));
  CHECK(ListCheckpoints(PosixEnv(), dir.path())->empty());
  REQUIRE(Write(dir.path(), 1).ok());
  CHECK(committed().ok());
}

TEST_CASE("A shard whose file claims another version does not pass, though its digest was reported") {
  TestDir dir;
  CheckpointManifest manifest = ManifestOf({*Write(dir.path(), 0), *Write(dir.path(), 1)});
  SECTION("version") { manifest.set_version(121); }
  SECTION("job") { manifest.set_job(8); }
  SECTION("shard") { manifest.mutable_shards()->SwapElements(0, 1); }
  REQUIRE(PosixEnv()->CreateDirs(dir / PartialCheckpointName(Version(121), RestoreId(0))).ok());
  for (const char* name : {"shard-0-of-2.safetensors", "shard-1-of-2.safetensors"}) {
    const std::string bytes =
        *PosixEnv()->ReadFile(JoinPath(dir / PartialCheckpointName(Version(120), RestoreId(0)), name));
    REQUIRE(
        PosixEnv()
            ->WriteFileAtomic(JoinPath(dir / PartialCheckpointName(Version(121), RestoreId(0)), name), bytes)
            .ok());
  }
  CHECK(absl::IsDataLoss(CommitCheckpoint(PosixEnv(), dir.path(), manifest).status()));
}

TEST_CASE("A folder named after another version than its manifest's is damaged; any other name will do") {
  TestDir dir;
  const std::string path = Commit(dir.path());
  REQUIRE(PosixEnv()->Rename(path, dir / "version-121").ok());
  CHECK(absl::IsDataLoss(CheckpointReader::Open(PosixEnv(), dir / "version-121").status()));
  REQUIRE(PosixEnv()->Rename(dir / "version-121", dir / "the-good-one").ok());
  CHECK(CheckpointReader::Open(PosixEnv(), dir / "the-good-one")->Verify().ok());
}

TEST_CASE("A damaged version is set aside under a name that says so, and can be written again") {
  TestDir dir;
  const std::string path = Commit(dir.path());
  CHECK(*SetCheckpointAside(PosixEnv(), path) == dir / "version-120.damaged");
  CHECK(ListCheckpoints(PosixEnv(), dir.path())->empty());
  Commit(dir.path());
  const std::string manifest = *PosixEnv()->ReadFile(JoinPath(path, "manifest.json"));
  REQUIRE(PosixEnv()->WriteFileAtomic(JoinPath(path, "manifest.json"), manifest + " ").ok());
  Commit(dir.path());  // the damaged one is in its place
  CHECK(*PosixEnv()->ReadFile(dir / "version-120.damaged-2/manifest.json") == manifest + " ");
  CHECK(CheckpointReader::Open(PosixEnv(), path)->Verify().ok());
}

TEST_CASE("Parameters that are not finite are not written") {
  TestDir dir;
  for (float bad :
       {std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity(), std::nanf("")}) {
    const auto written = Write(dir.path(), 1, {7, 120, bad});
    CHECK(absl::IsOutOfRange(written.status()));
    CHECK_THAT(std::string(written.status().message()), Catch::Matchers::Contains("block 1"));
  }
  CHECK_FALSE(PosixEnv()->FileExists(dir / PartialCheckpointName(Version(120), RestoreId(0))));
  CHECK(Write(dir.path(), 1, {7, 120, std::numeric_limits<float>::denorm_min()}).ok());
  CHECK(Write(dir.path(), 1, {7, 120, std::numeric_limits<float>::lowest()}).ok());
}

TEST_CASE(
    "Checkpoints of format 1 are read, and verified as far as they can be; newer ones are not damaged") {
  TestDir dir;
  const std::vector<float> values = Values(0, 1);
  SafetensorsEntry entry;
  entry.name = "theta.0";
  entry.shape = {3};
  auto writer = SafetensorsWriter::Create(PosixEnv(), dir / "shard-0-of-1.safetensors", {entry},
                                          {{"format", "shoal-1"},
                                           {"job", "7"},
                                           {"version", "120"},
                                           {"shard", "0"},
                                           {"shards", "1"},
                                           {"crc32c.theta.0", "bb336ff7"}});
  REQUIRE(writer.ok());
  REQUIRE(writer->Append(values).ok());
  const std::string sha256 = *writer->Finish();
  const auto manifest = [&](int format) {
    return "{\"format\": " + std::to_string(format) +
           ", \"job\": \"7\", \"version\": \"120\", \"parameters\": \"3\", \"shards\": [{\"file\": "
           "\"shard-0-of-1.safetensors\", \"bytes\": \"" +
           std::to_string(*PosixEnv()->FileSize(dir / "shard-0-of-1.safetensors")) + "\", \"sha256\": \"" +
           sha256 + "\"}]}";
  };
  REQUIRE(PosixEnv()->WriteFileAtomic(dir / "manifest.json", manifest(1)).ok());
  const auto reader = CheckpointReader::Open(PosixEnv(), dir.path());
  REQUIRE(reader.ok());
  const auto verified = reader->Verify();
  INFO(verified.status().ToString());
  CHECK(verified.ok());
  CHECK(*reader->ReadTheta() == values);
  REQUIRE(PosixEnv()->WriteFileAtomic(dir / "manifest.json", manifest(2)).ok());
  CHECK(absl::IsDataLoss(CheckpointReader::Open(PosixEnv(), dir.path()).status()));
}

TEST_CASE("Numbers of a manifest that contradict each other are damage") {
  TestDir dir;
  const std::string path = Commit(dir.path());
  const CheckpointManifest good = *ReadManifest(PosixEnv(), path);
  CheckpointManifest bad = good;
  SECTION("parameters") { bad.set_parameters(good.parameters() + 1); }
  SECTION("no parameters") { bad.set_parameters(0); }
  SECTION("a shard too few") { bad.mutable_shards()->RemoveLast(); }
  SECTION("a shard twice") { *bad.mutable_shards(1) = good.shards(0); }
  SECTION("a file elsewhere") { bad.mutable_shards(0)->set_file("../shard-0-of-2.safetensors"); }
  SECTION("bytes") { bad.mutable_shards(0)->set_bytes(1); }
  SECTION("a checksum too few") { bad.mutable_shards(0)->mutable_block_crc32c()->RemoveLast(); }
  SECTION("no digest of a file") { bad.mutable_shards(0)->clear_sha256(); }
  SECTION("no digest of a header") { bad.mutable_shards(0)->clear_header_sha256(); }
  SECTION("version") { bad.set_version(121); }
  REQUIRE(PosixEnv()->WriteFileAtomic(JoinPath(path, "manifest.json"), FormatManifest(bad)).ok());
  CHECK(absl::IsDataLoss(CheckpointReader::Open(PosixEnv(), path).status()));
}

}  // namespace
}  // namespace shoal
