#include "scheduler/checkpoint_keeper.h"

#include "catch2/catch.hpp"
#include "scheduler/part_harness.h"

namespace shoal::scheduler {
namespace {

const absl::Status kFull = absl::ResourceExhaustedError("No space left on device");
const absl::Status kBroken = absl::UnknownError("Input/output error");

// One server writes the only shard.
struct Fixture : Surroundings {
  JobDefinition job = Definition();
  EvaluationLedger evaluations{context, job};
  CheckpointKeeper keeper{context, job, evaluations};
  const Member& server = Join(1, NODE_ROLE_SERVER);
  CheckpointNeeds needs;

  Fixture() {
    needs.kept = {Version(20)};
    keeper.BeginRestorePoint(RestoreId(1), 1);
  }
  void Written(uint64_t version, const std::string& error = "", uint64_t restore_id = 1) {
    ShardWritten report;
    report.set_version(version);
    report.set_restore_id(restore_id);
    report.set_error(error);
    keeper.OnWritten(now, server, report, needs);
  }
  bool Committed(const absl::StatusOr<std::string>& result = std::string("folder/version")) {
    return keeper.OnCommitted(now, All<CommitCheckpointFiles>().back(), result, needs);
  }
  size_t Commits() { return All<CommitCheckpointFiles>().size(); }
  std::vector<uint64_t> Deleted() {
    std::vector<uint64_t> versions;
    for (const DeleteCheckpointFiles& one : All<DeleteCheckpointFiles>())
      versions.push_back(one.version.value());
    return versions;
  }
  std::vector<uint64_t> Parts() {
    std::vector<uint64_t> versions;
    for (const DeletePartsOfVersion& one : All<DeletePartsOfVersion>())
      versions.push_back(one.version.value());
    return versions;
  }
};

TEST_CASE("A version whose shards are all written is committed, once, and is then available") {
  Fixture f;
  for (int i = 0; i < 2; ++i) f.Written(5);
  CHECK(f.Commits() == 1);
  CHECK(f.keeper.IsBeingCommitted(Version(5), /*waiting=*/false));
  CHECK(f.Committed());
  CHECK_FALSE(f.Committed());
  f.Written(5);
  f.Written(4);  // older than what is committed
  f.Written(6, "", /*restore_id=*/2);
  CHECK(f.Commits() == 1);
  CHECK(f.keeper.NextRestore(Version(20)).version() == 5);
  CHECK(f.keeper.NextRestore(Version(4)).version() == 0);
}

TEST_CASE("A restart keeps what is committed and what failed, and forgets what was only written") {
  Fixture f;
  f.Written(5);
  f.Committed();
  f.Written(20, "broken");
  f.Written(10);
  CheckpointKeeper after(f.context, f.job, f.evaluations);
  after.Load(Stored(f.keeper));
  CHECK(after.Versions() == std::set<Version>{Version(5)});
  CHECK(after.FindFailure(Version(20))->error() == "broken");
  CHECK_FALSE(after.HasCommits());
}

TEST_CASE("A commit for which there is no room is retried, and dropped for a newer version") {
  Fixture f;
  f.Written(5);
  CHECK_FALSE(f.Committed(kFull));
  CHECK_FALSE(f.keeper.write_trouble().empty());
  f.now += absl::Seconds(2);
  f.keeper.RetryCommits(f.now);
  f.keeper.RetryCommits(f.now);
  CHECK(f.Commits() == 2);
  CHECK_FALSE(f.Committed(kFull));
  f.Written(10);
  CHECK(f.Parts() == std::vector<uint64_t>{5});
  CHECK(f.Committed());
  CHECK(f.keeper.write_trouble().empty());
}

TEST_CASE("A possible result is not dropped for a newer version; after a while it is hopeless") {
  Fixture f;
  f.needs.kept = {Version(5)};
  f.Written(5);
  f.Committed(kFull);
  f.Written(10);
  CHECK(f.keeper.IsBeingCommitted(Version(5), /*waiting=*/true));
  const absl::Time since = f.now;
  CHECK_FALSE(f.keeper.IsHopeless(f.now, Version(5), since));
  f.now += f.options.storage_patience;
  CHECK(f.keeper.IsHopeless(f.now, Version(5), since));
}

TEST_CASE("A version that failed is remembered if it matters; its parts are deleted in any case") {
  Fixture f;
  f.Written(5, "broken");
  f.Written(20, "broken");
  CHECK(f.Parts() == std::vector<uint64_t>{5, 20});
  CHECK(f.keeper.FindFailure(Version(5)) == nullptr);
  CHECK(f.keeper.FindFailure(Version(20)) != nullptr);
  f.keeper.BeginRestorePoint(RestoreId(2), 1);
  CHECK(f.keeper.FindFailure(Version(20)) == nullptr);
}

TEST_CASE("While many commits hang, only versions that may be kept are committed") {
  Fixture f;
  for (uint64_t version = 1; version <= CheckpointKeeper::kMaxCommits + 1; ++version) f.Written(version);
  CHECK(f.Commits() == CheckpointKeeper::kMaxCommits);
  f.Written(20);
  CHECK(f.Commits() == CheckpointKeeper::kMaxCommits + 1);
}

TEST_CASE(
    "Files that servers report as damaged are checked once; reports of an earlier restore point are void") {
  Fixture f;
  RestorePoint restore;
  restore.set_restore_id(1);
  restore.set_version(5);
  restore.set_checkpoint("folder/version-5");
  f.keeper.OnAccused(NodeId(1), restore, "bad");
  f.keeper.OnAccused(NodeId(2), restore, "bad too");
  CHECK(f.All<CheckCheckpointFiles>().size() == 1);
  SECTION("the current one") { CHECK(f.keeper.OnChecked(Version(5)).size() == 2); }
  SECTION("an earlier one") {
    f.keeper.BeginRestorePoint(RestoreId(2), 1);
    CHECK(f.keeper.OnChecked(Version(5)).empty());
  }
  CHECK_FALSE(f.keeper.IsChecking());
}

TEST_CASE("A lost version is gone, and remembered as a failure if it matters") {
  Fixture f;
  f.Written(20);
  f.Committed();
  CHECK_FALSE(f.keeper.Lose(f.now, Version(5), kBroken, f.needs));
  CHECK(f.keeper.Lose(f.now, Version(20), kBroken, f.needs));
  CHECK(f.keeper.Find(Version(20)) == nullptr);
  CHECK(f.keeper.FindFailure(Version(20))->kind() == FailedWrite::LOST);
}

TEST_CASE("The newest versions, those that are needed and an earlier job's are kept") {
  Fixture f;
  f.job.mutable_spec()->mutable_checkpoint()->set_keep(1);
  ResumePoint resume;
  resume.others.push_back({Version(1), "copies/1"});
  f.keeper.AddForeign(resume);
  for (uint64_t version : {5, 10, 15}) {
    f.Written(version);
    f.Committed();
  }
  f.keeper.Prune({Version(5)});
  CHECK(f.Deleted() == std::vector<uint64_t>{10});
  CHECK(f.keeper.Versions() == std::set<Version>{Version(1), Version(5), Version(15)});
}

TEST_CASE("Files that hang are reported once, and fail a job that waits for them") {
  Fixture f;
  f.Written(5);
  CHECK_FALSE(f.keeper.WatchFiles(f.now, /*reads_result=*/false, /*waits=*/false));
  f.now += f.options.storage_patience;
  CHECK_FALSE(f.keeper.WatchFiles(f.now, /*reads_result=*/false, /*waits=*/false));
  CHECK(f.Said("the scheduler has been waiting for its files"));
  CHECK(f.keeper.WatchFiles(f.now, /*reads_result=*/false, /*waits=*/true));
  f.Committed();
  CHECK_FALSE(f.keeper.WatchFiles(f.now, /*reads_result=*/false, /*waits=*/true));
}

}  // namespace
}  // namespace shoal::scheduler
