#include "scheduler/checkpoint_files.h"

#include "catch2/catch.hpp"
#include "common/checkpoint.h"
#include "common/test_dir.h"

namespace shoal::scheduler {
namespace {

void Commit(const std::string& folder, uint64_t version, const std::string& spec_sha256) {
  const std::vector<float> theta(4, 1.0f);
  ShardFile file;
  file.job = 1;
  file.version = Version(version);
  file.blocks = {{BlockId(0), theta, {}}};
  const auto shard = WriteShardFile(PosixEnv(), folder, file);
  REQUIRE(shard.ok());
  CommitCheckpointFiles commit;
  commit.folder = folder;
  commit.manifest.set_format(kCheckpointFormat);
  commit.manifest.set_job(1);
  commit.manifest.set_spec_sha256(spec_sha256);
  commit.manifest.set_version(version);
  commit.manifest.set_parameters(4);
  *commit.manifest.add_shards() = *shard;
  REQUIRE(CommitWithHistory(PosixEnv(), commit).ok());
}

TEST_CASE("A folder is free for a job that goes on from its newest checkpoint, and for no other") {
  const TestDir dir;
  CHECK(CheckCheckpointFolder(PosixEnv(), dir / "new", std::nullopt).ok());
  Commit(dir.path(), 5, "spec");
  Commit(dir.path(), 10, "spec");
  const absl::Status refused = CheckCheckpointFolder(PosixEnv(), dir.path(), std::nullopt);
  CHECK(refused.code() == absl::StatusCode::kFailedPrecondition);
  CHECK_THAT(std::string(refused.message()), Catch::Matchers::Contains("version-5"));
  const auto newest = FindResumePoint(PosixEnv(), dir.path());
  REQUIRE(newest.ok());
  CHECK(CheckCheckpointFolder(PosixEnv(), dir.path(), *newest).ok());
  const auto older = FindResumePoint(PosixEnv(), dir / "version-5");
  REQUIRE(older.ok());
  CHECK_THAT(std::string(CheckCheckpointFolder(PosixEnv(), dir.path(), *older).message()),
             Catch::Matchers::Contains("version-10 is of a later version"));
  Commit(dir / "other", 5, "another spec");
  CHECK_FALSE(CheckCheckpointFolder(PosixEnv(), dir / "other", *newest).ok());
}

}  // namespace
}  // namespace shoal::scheduler
