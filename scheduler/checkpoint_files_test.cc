#include "scheduler/checkpoint_files.h"

#include <cerrno>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "catch2/catch.hpp"
#include "common/storage/checkpoint.h"
#include "common/storage/fault_env.h"
#include "common/storage/test_dir.h"

namespace shoal::scheduler {
namespace {

using Catch::Matchers::Contains;

struct Training {
  std::string spec = "spec";
  std::string plan = "plan";
  uint64_t job = 1;
};

std::string Commit(const std::string& folder, uint64_t version, const Training& training = {}) {
  const std::vector<float> theta(4, 1.0f);
  ShardFile file;
  file.job = training.job;
  file.version = Version(version);
  file.blocks = {{BlockId(0), theta, {}}};
  const auto shard = WriteShardFile(PosixEnv(), folder, file);
  REQUIRE(shard.ok());
  CommitCheckpointFiles commit;
  commit.folder = folder;
  commit.manifest.set_job(training.job);
  commit.manifest.set_spec_sha256(training.spec);
  // The texts of other trainings differ.
  commit.manifest.set_numerics_text(training.spec == Training().spec ? "seed: 1\n" : training.spec);
  commit.manifest.set_plan_sha256(training.plan);
  commit.manifest.set_plan_text(training.plan == Training().plan ? "labels: 2\n" : training.plan);
  commit.manifest.set_version(version);
  commit.manifest.set_parameters(4);
  *commit.manifest.add_shards() = *shard;
  commit.history.add_evaluations()->set_version(version - 1);
  const auto path = CommitWithHistory(PosixEnv(), commit);
  REQUIRE(path.ok());
  return *path;
}

void Damage(const std::string& path) {
  std::string bytes = *PosixEnv()->ReadFile(path);
  bytes[bytes.size() / 2] ^= 1;
  REQUIRE(PosixEnv()->WriteFileAtomic(path, bytes).ok());
}

std::vector<uint64_t> Versions(const std::vector<ResumePoint::Checkpoint>& checkpoints) {
  std::vector<uint64_t> versions;
  for (const ResumePoint::Checkpoint& checkpoint : checkpoints)
    versions.push_back(checkpoint.version.value());
  return versions;
}

TEST_CASE("Versions of trainings that differ only in a length that changes none are one training's") {
  const auto spec = [](const char* schedule, int rounds) {
    return absl::StrCat("train:\n  rounds: ", rounds, "\nschedule:\n  type: ", schedule, "\n");
  };
  const TestDir dir;
  Commit(dir / "constant", 5, {spec("constant", 5)});
  Commit(dir / "constant", 10, {spec("constant", 10)});
  const auto newest = FindResumePoint(PosixEnv(), dir / "constant");
  REQUIRE(newest.ok());
  CHECK(newest->others.size() == 2);
  CHECK(CheckCheckpointFolder(PosixEnv(), dir / "constant", *newest).ok());
  Commit(dir / "linear", 5, {spec("linear", 5)});
  Commit(dir / "linear", 10, {spec("linear", 10)});
  const auto linear = FindResumePoint(PosixEnv(), dir / "linear");
  REQUIRE(linear.ok());
  CHECK(linear->others.size() == 1);
}

TEST_CASE("A folder is free only for a job that continues from its newest checkpoint") {
  const TestDir dir;
  CHECK(CheckCheckpointFolder(PosixEnv(), dir / "new", std::nullopt).ok());
  Commit(dir.path(), 5);
  Commit(dir.path(), 10);
  const absl::Status refused = CheckCheckpointFolder(PosixEnv(), dir.path(), std::nullopt);
  CHECK(refused.code() == absl::StatusCode::kFailedPrecondition);
  CHECK_THAT(std::string(refused.message()), Contains("version-5"));
  const auto newest = FindResumePoint(PosixEnv(), dir.path());
  REQUIRE(newest.ok());
  CHECK(CheckCheckpointFolder(PosixEnv(), dir.path(), *newest).ok());
  const auto older = FindResumePoint(PosixEnv(), dir / "version-5");
  REQUIRE(older.ok());
  CHECK_THAT(std::string(CheckCheckpointFolder(PosixEnv(), dir.path(), *older).message()),
             Contains("version-10 is a later version"));
  Commit(dir / "other", 5, {"another spec"});
  CHECK_FALSE(CheckCheckpointFolder(PosixEnv(), dir / "other", *newest).ok());
  Commit(dir / "data", 5, {"spec", "other data"});
  CHECK_FALSE(CheckCheckpointFolder(PosixEnv(), dir / "data", *newest).ok());
}

TEST_CASE("A job that names no folder gets one without another job's checkpoints") {
  const TestDir dir;
  CHECK(FreeCheckpointFolder(PosixEnv(), dir / "job-1").value() == dir / "job-1");
  Commit(dir / "job-1", 5);
  Commit(dir / "job-1-2", 5);
  CHECK(FreeCheckpointFolder(PosixEnv(), dir / "job-1").value() == dir / "job-1-3");
  CHECK(FreeCheckpointFolder(PosixEnv(), dir / "job-1", {dir / "job-1-3"}).value() == dir / "job-1-4");
}

TEST_CASE("A resume point has all that its job needs to compare, and the older versions of its training") {
  const TestDir dir;
  Commit(dir.path(), 5, {"spec", "plan", /*job=*/1});
  Commit(dir.path(), 7, {"another", "plan", 1});
  Commit(dir.path(), 8, {"spec", "other data", 1});
  const std::string path =
      Commit(dir.path(), 10, {"spec", "plan", /*job=*/2});  // which continued the first one's
  Commit(dir.path(), 15);
  const auto point = FindResumePoint(PosixEnv(), path + "/");
  REQUIRE(point.ok());
  CHECK(point->directory == path);
  CHECK(point->version == Version(10));
  CHECK(point->spec_sha256 == "spec");
  CHECK(point->numerics_text == "seed: 1\n");
  CHECK(point->plan_sha256 == "plan");
  CHECK(point->plan_text == "labels: 2\n");
  REQUIRE(point->evaluations.size() == 1);
  CHECK(point->evaluations[0].version() == 9);
  CHECK(Versions(point->others) == std::vector<uint64_t>{10, 5});
  CHECK(point->damaged.empty());
  CHECK(absl::IsNotFound(FindResumePoint(PosixEnv(), dir / "nothing").status()));
  CHECK(absl::IsNotFound(FindResumePoint(PosixEnv(), dir / "version-5/nothing").status()));
}

TEST_CASE("A job can start from a single version under any name") {
  const TestDir dir;
  REQUIRE(PosixEnv()->CreateDirs(dir / "copies").ok());
  REQUIRE(PosixEnv()->Rename(Commit(dir.path(), 10), dir / "copies/good").ok());
  const auto point = FindResumePoint(PosixEnv(), dir / "copies/good");
  REQUIRE(point.ok());
  CHECK(point->version == Version(10));
  CHECK(Versions(point->others) == std::vector<uint64_t>{10});
}

TEST_CASE("A damaged version is replaced by the next older one, in the end by none; nothing is changed") {
  const TestDir dir;
  Commit(dir.path(), 5);
  const std::string ten = Commit(dir.path(), 10);
  const std::string asked = GENERATE(std::string("version-10"), std::string("."));
  SECTION("manifest") { Damage(JoinPath(ten, "manifest.json")); }
  SECTION("history") { Damage(JoinPath(ten, "history.json")); }
  SECTION("no manifest") { REQUIRE(PosixEnv()->DeleteFile(JoinPath(ten, "manifest.json")).ok()); }
  SECTION("no shard") { REQUIRE(PosixEnv()->DeleteFile(JoinPath(ten, ShardFileName(0, 1))).ok()); }
  SECTION("header of a shard") { Damage(JoinPath(ten, ShardFileName(0, 1))); }
  const std::string from = asked == "." ? dir.path() : dir / asked;
  const auto point = FindResumePoint(PosixEnv(), from);
  REQUIRE(point.ok());
  CHECK(point->version == Version(5));
  CHECK(Versions(point->damaged) == std::vector<uint64_t>{10});
  CHECK(CheckCheckpointFolder(PosixEnv(), dir.path(), *point).ok());
  CHECK_FALSE(CheckCheckpointFolder(PosixEnv(), dir.path(), std::nullopt).ok());
  Damage(dir / "version-5/manifest.json");
  const auto none = FindResumePoint(PosixEnv(), from);
  REQUIRE(none.ok());
  CHECK(none->directory.empty());
  CHECK(Versions(none->damaged) == std::vector<uint64_t>{10, 5});
  CHECK(CheckCheckpointFolder(PosixEnv(), dir.path(), *none).ok());
  CHECK(ListCheckpoints(PosixEnv(), dir.path())->size() == 2);
}

TEST_CASE("A damaged older version beside the one to start from does not block the job's folder") {
  const TestDir dir;
  Damage(JoinPath(Commit(dir.path(), 5), "manifest.json"));
  Commit(dir.path(), 10);
  const auto point = FindResumePoint(PosixEnv(), dir.path());
  REQUIRE(point.ok());
  CHECK(point->version == Version(10));
  CHECK(Versions(point->damaged) == std::vector<uint64_t>{5});
  CHECK(CheckCheckpointFolder(PosixEnv(), dir.path(), *point).ok());
}

TEST_CASE("Verification keeps an intact checkpoint, and sets a damaged one aside and says where") {
  const TestDir dir;
  const std::string path = Commit(dir.path(), 10);
  CHECK(VerifyOrSetAside(PosixEnv(), path).ok());
  CHECK(PosixEnv()->FileExists(path));
  Damage(JoinPath(path, "history.json"));
  const absl::Status damaged = VerifyOrSetAside(PosixEnv(), path).status();
  CHECK(absl::IsDataLoss(damaged));
  CHECK_THAT(std::string(damaged.message()),
             Contains("history.json: damaged") && Contains(path + ".damaged"));
  CHECK_FALSE(PosixEnv()->FileExists(path));
  CHECK(absl::IsNotFound(VerifyOrSetAside(PosixEnv(), path).status()));
}

TEST_CASE("An unreadable checkpoint is not set aside, and an unmounted one does not count as gone") {
  const TestDir dir;
  const std::string path = Commit(dir / "mount", 10);
  FaultEnv env(PosixEnv(), {{"version-10", 0, 0, EIO}});
  CHECK(IsUnreadable(VerifyOrSetAside(&env, path).status()));
  env.SetRules({{"version-10", 0, 0, ESTALE}});
  CHECK(IsStorageTrouble(VerifyOrSetAside(&env, path).status()));
  CHECK(PosixEnv()->FileExists(path));
  REQUIRE(PosixEnv()->Rename(dir / "mount", dir / "unmounted").ok());
  CHECK(IsStorageTrouble(VerifyOrSetAside(PosixEnv(), path).status()));
  CommitCheckpointFiles commit;
  commit.folder = dir / "mount";
  commit.manifest.set_version(15);
  for (bool first : {true, false}) {
    commit.first = first;
    CHECK(IsStorageTrouble(CommitWithHistory(PosixEnv(), commit).status()));
  }
}

TEST_CASE("A version that gives I/O errors is replaced by the next older one") {
  const TestDir dir;
  Commit(dir.path(), 5);
  Commit(dir.path(), 10);
  FaultEnv env(PosixEnv(), {{"version-10/", 0, 0, EIO}});
  const auto point = FindResumePoint(&env, dir.path());
  REQUIRE(point.ok());
  CHECK(point->version == Version(5));
  CHECK(Versions(point->damaged) == std::vector<uint64_t>{10});
  CHECK(CheckCheckpointFolder(&env, dir.path(), *point).ok());
  env.SetRules({{"version-10/", 1, 0, EIO}});  // transient
  CHECK(FindResumePoint(&env, dir.path())->version == Version(10));
}

}  // namespace
}  // namespace shoal::scheduler
