#include "scheduler/completion.h"

#include "catch2/catch.hpp"
#include "scheduler/part_harness.h"

namespace shoal::scheduler {
namespace {

using Catch::Matchers::Contains;

// One server; the best of two evaluations is that of version 10, and training ends with version 20.
struct Fixture : Surroundings {
  JobDefinition job = Definition();
  EvaluationLedger evaluations{context, job};
  CheckpointKeeper checkpoints{context, job, evaluations};
  Completion completion{context, job, evaluations, &checkpoints};
  const Member& server = Join(1, NODE_ROLE_SERVER);
  Version restore;

  Fixture() {
    checkpoints.BeginRestorePoint(RestoreId(1), 1);
    for (const auto& [version, metric] : {std::pair(10, 0.9), std::pair(20, 0.5)})
      Add(EVALUATION_SET_VALIDATION, version, metric);
  }
  void Add(EvaluationSet set, uint64_t version, double metric) {
    std::vector<EvaluationRecord> all = evaluations.all();
    EvaluationRecord& record = all.emplace_back();
    record.set_set(set);
    record.set_version(version);
    record.set_metric(metric);
    record.set_best(set == EVALUATION_SET_VALIDATION && version == 10);
    evaluations.Load(JobStateRecord(), std::move(all));
  }
  void Written(uint64_t version, const std::string& error = "", bool not_finite = false) {
    ShardWritten report;
    report.set_version(version);
    report.set_restore_id(1);
    report.set_error(error);
    report.set_not_finite(not_finite);
    checkpoints.OnWritten(now, server, report, completion.Needs());
    if (error.empty())
      REQUIRE(checkpoints.OnCommitted(now, All<CommitCheckpointFiles>().back(), std::string("folder/version"),
                                      completion.Needs()));
  }
  Completion::Step Advance() { return completion.Advance(now, restore, /*restore_wanted=*/false); }
  Completion::Reading Read(const absl::StatusOr<std::string>& sha256) {
    return completion.OnRead(now, sha256, JobResult());
  }
  // Proceeds to where the result is being read.
  void Test() {
    completion.EndTraining(now, Version(20));
    Written(10);
    Written(20);
    completion.OnRestored();
    Add(EVALUATION_SET_TEST, 10, 0.8);
    REQUIRE(*Advance().result.reason == "the result is being read");
  }
};

TEST_CASE("The best version is tested, by servers that go back to it, when the last one is written too") {
  Fixture f;
  f.completion.EndTraining(f.now, Version(20));
  CHECK(f.completion.kept() == Version(10));
  CHECK(f.completion.NextTarget().version() == 20);
  CHECK_THAT(*f.Advance().result.reason, Contains("version 10, the result, is being written"));
  f.Written(10);
  CHECK_THAT(*f.Advance().result.reason, Contains("version 20, the last, is being written"));
  f.Written(20);
  CHECK(f.Advance().wants_restore);
  f.completion.OnRestored();
  CHECK(f.completion.NextTarget().version() == 10);
  CHECK(f.completion.NextTarget().evaluate() == EVALUATION_SET_TEST);
  CHECK_FALSE(f.Advance().wants_restore);
}

TEST_CASE("The tested version is read once, and its digest is the result") {
  Fixture f;
  f.Test();
  CHECK_FALSE(f.Advance().result.reason);
  CHECK(f.All<ComputeResult>().size() == 1);
  CHECK(f.Read(std::string("digest")).done);
  CHECK(f.completion.result()->version() == 10);
  CHECK(f.completion.result()->parameters_sha256() == "digest");
  CHECK(f.completion.result()->rounds() == 20);
}

TEST_CASE("A restart reads the result again, and forgets nothing of how training ended") {
  Fixture f;
  f.Test();
  Completion after(f.context, f.job, f.evaluations, &f.checkpoints);
  after.Load(Stored(f.completion));
  CHECK(after.kept() == Version(10));
  CHECK(after.last() == Version(20));
  CHECK_FALSE(after.IsReading());
  CHECK(*after.Advance(f.now, Version(10), false).result.reason == "the result is being read");
}

TEST_CASE("A result that can't be read is read again; damage, and errors that stay, lose the version") {
  Fixture f;
  f.Test();
  SECTION("damage") { CHECK(absl::IsDataLoss(f.Read(absl::DataLossError("damaged")).lost)); }
  SECTION("errors") {
    for (uint32_t i = 1; i < kMaxAttempts; ++i) {
      CHECK(f.Read(absl::UnknownError("Input/output error")).lost.ok());
      CHECK_THAT(*f.Advance().result.reason, Contains("it will be retried"));
      f.now += absl::Minutes(1);
      CHECK(*f.Advance().result.reason == "the result is being read");
    }
    CHECK_FALSE(f.Read(absl::UnknownError("Input/output error")).lost.ok());
  }
}

TEST_CASE("A result that was not written is trained again once; one that is not finite never is") {
  Fixture f;
  f.completion.EndTraining(f.now, Version(20));
  SECTION("not written") {
    f.Written(10, "broken");
    const Completion::Step step = f.Advance();
    CHECK(step.wants_restore);
    CHECK_FALSE(step.result.failure);
    CHECK_THAT(*f.Advance().result.failure, Contains("could not be written: broken"));
  }
  SECTION("not finite") {
    f.Written(10, "NaN", /*not_finite=*/true);
    CHECK(*f.Advance().result.failure == "version 10, the result: NaN");
  }
}

TEST_CASE(
    "Servers that are to write the result are waited for; ones that hang, as long as storage may take") {
  Fixture f;
  const absl::Duration patience = f.options.storage_patience;
  CHECK(f.completion.MayBeWritten(f.now + 10 * patience));
  f.completion.NoteWriter(f.now, true);
  f.completion.NoteWriter(f.now + patience / 2, true);
  CHECK(f.completion.MayBeWritten(f.now + patience - absl::Seconds(1)));
  CHECK_FALSE(f.completion.MayBeWritten(f.now + patience));
  SECTION("it recovers") {
    f.completion.NoteWriter(f.now + patience, false);
    f.completion.NoteWriter(f.now + patience, true);
    CHECK(f.completion.MayBeWritten(f.now + patience));
  }
  SECTION("the scheduler was suspended") {
    f.completion.Awake(absl::Seconds(1));
    CHECK(f.completion.MayBeWritten(f.now + patience));
  }
}

TEST_CASE("A checkpoint that all servers have written is being committed until it is") {
  Fixture f;
  f.completion.EndTraining(f.now, Version(20));
  CHECK_FALSE(f.completion.IsBeingCommitted());
  ShardWritten report;
  report.set_version(20);
  report.set_restore_id(1);
  f.checkpoints.OnWritten(f.now, f.server, report, f.completion.Needs());
  CHECK(f.completion.IsBeingCommitted());
  REQUIRE(f.checkpoints.OnCommitted(f.now, f.All<CommitCheckpointFiles>().back(),
                                    std::string("folder/version"), f.completion.Needs()));
  CHECK_FALSE(f.completion.IsBeingCommitted());
}

TEST_CASE("A result that is lost repeatedly fails the job") {
  Fixture f;
  f.restore = Version(20);  // nothing more will come from there
  f.completion.EndTraining(f.now, Version(20));
  for (uint32_t i = 1; i < kMaxAttempts; ++i) CHECK(f.Advance().wants_restore);
  CHECK_THAT(*f.Advance().result.failure, Contains("was lost repeatedly"));
}

}  // namespace
}  // namespace shoal::scheduler
