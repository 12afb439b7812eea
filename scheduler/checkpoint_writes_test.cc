// Checkpoints that are written and committed: full disks and late commits.
#include <string>

#include "catch2/catch.hpp"
#include "scheduler/core_harness.h"
#include "scheduler/shard_collector.h"

namespace shoal::scheduler {
namespace {

using Catch::Matchers::Contains;

constexpr char kNoRoom[] = "can't write to /mnt/x/shard-0: No space left on device";

// Version 5 is being committed when its server is lost and another one starts from the beginning.
uint64_t GoBackBehindCommit(Harness* h) {
  uint64_t w;
  const uint64_t first = StartPlain(h, &w);
  h->Written(first, 0, 5);
  REQUIRE(h->commits().size() == 1);
  h->Break(first);
  h->Pass(absl::Seconds(11), {w});
  const uint64_t other = h->Join(NODE_ROLE_SERVER, "other");
  h->Prepared(other);
  h->Installed(other, h->CurrentView().view());
  REQUIRE(h->CurrentView().restore().restore_id() == 2);
  REQUIRE(h->CurrentView().restore().version() == 0);
  return other;
}

TEST_CASE("Checkpoints that are committed are not asked for again when a new session reports them") {
  JobSpec spec = Spec();
  spec.mutable_checkpoint()->set_keep(1);
  spec.mutable_evaluation()->set_keep_best(false);
  Harness h;
  const uint64_t s = h.Join(NODE_ROLE_SERVER, "s"), w = h.Join(NODE_ROLE_WORKER, "w");
  h.Start({s}, {w}, spec);
  for (uint64_t version : {5, 10, 15}) {
    h.Written(s, 0, version);
    if (version < 15) h.CommitLast();
  }
  CHECK(h.GetJob().checkpoints_size() == 1);  // 10; 5 is gone
  h.Restart();                                // before it knew that 15 was committed
  REQUIRE(h.Open(s).ok());
  const size_t before = h.commits().size();
  for (uint64_t version : {5, 10, 15}) h.Written(s, 0, version);
  REQUIRE(h.commits().size() == before + 1);
  CHECK(h.commits().back().manifest.version() == 15);
}

TEST_CASE("A result for which there is no room is waited for, with the folder, and not trained again") {
  Harness h;
  uint64_t w;
  const uint64_t s = StartPlain(&h, &w);
  h.Reached(s, 0, 20);
  for (int minutes = 0; minutes < 8; ++minutes) {
    h.Written(s, 0, 20, kNoRoom, /*not_finite=*/false, /*retried=*/true);
    CHECK_THAT(h.GetJob().reason(), Contains(kNoRoom) && Contains("checkpoints-of-id"));
    h.Pass(absl::Minutes(1), {s, w});
  }
  CHECK(h.Said(kNoRoom));
  CHECK(std::count_if(h.messages().begin(), h.messages().end(), [](const std::string& message) {
          return message.find(kNoRoom) != std::string::npos;
        }) == 1);
  CHECK(h.CurrentView().view() == 1);
  SECTION("until there is") {
    h.Written(s, 0, 20);
    h.CommitLast();
    CHECK(h.CurrentView().view() == 1);
    h.EvaluatedAll(w, EVALUATION_SET_TEST, 20);
    h.Computed("abc");
    CHECK(h.GetJob().state() == JOB_STATE_COMPLETED);
  }
  SECTION("until nobody waits any longer") {
    h.Pass(absl::Minutes(3), {s, w});
    CHECK(h.GetJob().state() == JOB_STATE_FAILED);
    CHECK_THAT(h.GetJob().reason(), Contains(kNoRoom));
    CHECK(h.CurrentView().view() == 1);
  }
}

TEST_CASE(
    "How long a full disk is waited for does not depend on a clock that is set while the scheduler is down") {
  Harness h;
  uint64_t w;
  const uint64_t s = StartPlain(&h, &w);
  h.Reached(s, 0, 20);
  REQUIRE(h.GetJob().state() == JOB_STATE_TESTING);
  h.Sleep(absl::Hours(GENERATE(-24, 24)));
  h.Restart();
  REQUIRE(h.Open(s).ok());
  REQUIRE(h.Open(w).ok());
  h.Written(s, 0, 20, kNoRoom, /*not_finite=*/false, /*retried=*/true);
  h.Pass(absl::Minutes(9), {s, w});
  CHECK(h.GetJob().state() == JOB_STATE_TESTING);
  h.Pass(absl::Minutes(2), {s, w});
  CHECK(h.GetJob().state() == JOB_STATE_FAILED);
}

TEST_CASE("A full disk is shown while a job trains, and ends nothing, however long it is full") {
  Harness h;
  uint64_t w;
  const uint64_t s = StartPlain(&h, &w);
  h.Written(s, 0, 5, kNoRoom, false, /*retried=*/true);
  h.Pass(absl::Hours(1), {s, w});
  CHECK_THAT(h.GetJob().reason(), Contains(kNoRoom));
  h.Reached(s, 0, 20);
  h.Pass(absl::Minutes(9), {s, w});
  CHECK(h.GetJob().state() == JOB_STATE_TESTING);  // its own waiting time has only just begun
  h.Written(s, 0, 20);
  h.CommitLast();
  CHECK(h.GetJob().reason().find(kNoRoom) == std::string::npos);
}

TEST_CASE("A commit for which there is no room is retried until a newer version takes its place") {
  Harness h;
  uint64_t w;
  const uint64_t s = StartPlain(&h, &w);
  h.Written(s, 0, 5);
  CHECK(h.commits().back().first);
  h.CommitLast(absl::ResourceExhaustedError(kNoRoom));
  CHECK_THAT(h.GetJob().reason(), Contains("the scheduler") && Contains(kNoRoom));
  CHECK(h.deleted_parts().empty());
  h.Pass(absl::Seconds(2), {s, w});
  REQUIRE(h.commits().size() == 2);
  h.CommitLast(absl::ResourceExhaustedError(kNoRoom));
  h.Written(s, 0, 10);
  REQUIRE(h.commits().size() == 3);
  CHECK(h.commits().back().manifest.version() == 10);
  CHECK(h.deleted_parts() == Harness::Parts{{5, 1}});
  h.CommitLast();
  CHECK(h.GetJob().reason() == "");
  CHECK(h.GetJob().checkpoints_size() == 1);
  h.Written(s, 0, 15);
  h.Pass(absl::Minutes(3), {s, w});
  CHECK(h.commits().size() == 4);
}

TEST_CASE("A result that a broken disk can't store is trained again only once") {
  Harness h;
  uint64_t w;
  const uint64_t s = StartPlain(&h, &w);
  h.Reached(s, 0, 20);
  h.Written(s, 0, 20, "Input/output error");
  CHECK(h.GetJob().state() == JOB_STATE_TESTING);
  h.Installed(s, h.CurrentView().view());
  CHECK(h.CurrentView().view() == 2);
  h.Reached(s, 0, 20);
  h.Written(s, 0, 20, "Input/output error");
  CHECK(h.GetJob().state() == JOB_STATE_FAILED);
  CHECK_THAT(h.GetJob().reason(), Contains("could not be written: Input/output error"));
}

TEST_CASE("A full disk is reported once, leaves no parts behind, and does not make the job's state grow") {
  JobSpec spec = PlainSpec();
  spec.mutable_train()->set_rounds(2000);
  JobPlan plan = Plan();
  plan.set_rounds(2000);
  Harness h;
  const uint64_t s1 = h.Join(NODE_ROLE_SERVER, "s1"), s2 = h.Join(NODE_ROLE_SERVER, "s2"),
                 w = h.Join(NODE_ROLE_WORKER, "w");
  h.Submit(spec);
  h.Prepared(w, /*derived=*/true, plan);
  h.Prepared(s1);
  h.Prepared(s2);
  REQUIRE(h.CurrentView().shards_size() == 2);
  const size_t before = h.StateBytes();
  for (uint64_t version = 5; version < 2000; version += 5) {
    h.Written(s1, 0, version);
    h.Written(s2, 1, version, "version-" + std::to_string(version) + ": No space left on device");
  }
  CHECK(h.StateBytes() < before + 100);
  CHECK(h.deleted_parts().size() == 1995 / 5);
  h.Written(s1, 0, 1995);  // after its other part failed: it would stay there forever
  CHECK(h.deleted_parts().size() == 1995 / 5 + 1);
  CHECK(h.deleted().empty());  // a version of another training may have that name
  const auto told = std::count_if(h.messages().begin(), h.messages().end(), [](const std::string& message) {
    return message.find("No space left") != std::string::npos;
  });
  CHECK(told == 1);
  CHECK(h.commits().empty());
  h.Written(s1, 0, 2000);
  h.Written(s2, 1, 2000);
  CHECK(h.commits().size() == 1);
}

TEST_CASE("Parts of versions that are never completed are forgotten, the oldest first") {
  ShardCollector collector;
  collector.Reset(RestoreId(1), 2);
  ShardWritten report;
  report.set_restore_id(1);
  for (uint64_t version = 1; version <= 1000; ++version) {
    report.set_version(version);
    CHECK_FALSE(collector.Add(report));
  }
  CHECK(collector.versions() == ShardCollector::kMaxVersions);
  report.set_shard(1);
  CHECK(collector.Add(report));
  report.set_version(1);
  CHECK_FALSE(collector.Add(report));
  collector.DropUpTo(Version(1000));
  CHECK(collector.versions() == 0);
}

TEST_CASE("What fails in a later restore point does not touch a commit of an earlier one") {
  Harness h;
  const uint64_t s = GoBackBehindCommit(&h);
  h.Written(s, 0, 5, "Input/output error");
  h.Commit(0);
  CHECK(h.GetJob().checkpoints_size() == 1);
  CHECK(h.deleted().empty());
  CHECK(h.deleted_parts() == Harness::Parts{{5, 2}});
}

TEST_CASE("Two commits of a version are told apart: each answer counts for its own") {
  Harness h;
  const uint64_t s = GoBackBehindCommit(&h);
  h.Written(s, 0, 5);
  REQUIRE(h.commits().size() == 2);
  CHECK(h.commits()[0].restore_id == RestoreId(1));
  CHECK(h.commits()[1].restore_id == RestoreId(2));
  SECTION("the former fails") {
    h.Commit(0, absl::DataLossError("its parts are not there"));
    CHECK(h.deleted_parts().empty());
    h.Commit(1);
    CHECK(h.GetJob().checkpoints_size() == 1);
    CHECK_FALSE(h.Said("could not be written"));
  }
  SECTION("both succeed") {
    h.Commit(0);
    h.Commit(1);
    CHECK(h.GetJob().checkpoints_size() == 1);
    CHECK(h.deleted().empty());
  }
}

TEST_CASE("A commit that ends after the servers went back does not hide what they write again") {
  Harness h;
  const uint64_t s = h.Join(NODE_ROLE_SERVER, "s"), w = h.Join(NODE_ROLE_WORKER, "w");
  h.Start(s, w);
  h.Reached(s, 0, 10);
  h.EvaluatedAll(w, EVALUATION_SET_VALIDATION, 10, /*right=*/2);
  h.Written(s, 0, 10, "No space left on device");
  h.Reached(s, 0, 15);
  h.Written(s, 0, 15);  // its commit takes a long time
  h.Reached(s, 0, 20);
  h.EvaluatedAll(w, EVALUATION_SET_VALIDATION, 20, /*right=*/1);
  h.Written(s, 0, 20, "No space left on device");
  REQUIRE(h.CurrentView().restore().version() == 0);
  h.CommitLast();
  h.Installed(s, h.CurrentView().view());
  h.Reached(s, 0, 10);
  h.Written(s, 0, 10);
  CHECK(h.commits().back().manifest.version() == 10);
}

}  // namespace
}  // namespace shoal::scheduler
