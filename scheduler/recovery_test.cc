// What a job does when checkpoints are damaged or gone, when it goes on from another job's, and when numbers
// are not finite.
#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "catch2/catch.hpp"
#include "common/contribution_stats.h"
#include "common/job_print.h"
#include "common/plan_text.h"
#include "common/sha256.h"
#include "scheduler/core_harness.h"
#include "scheduler/shard_collector.h"

namespace shoal::scheduler {
namespace {

using Catch::Matchers::Contains;

const absl::Status kDamaged = absl::DataLossError("theta.0 is damaged; it is now version-N.damaged");
const absl::Status kBroken = absl::UnknownError("Input/output error");

// A job that has committed `versions`, whose server was lost, and which another one shall go on with.
uint64_t Replace(Harness* h, const std::vector<uint64_t>& versions, uint64_t* worker) {
  const uint64_t first = h->Join(NODE_ROLE_SERVER, "first");
  *worker = h->Join(NODE_ROLE_WORKER, "w");
  h->Start(first, *worker);
  for (uint64_t version : versions) {
    h->Written(first, 0, version);
    h->CommitLast();
  }
  h->Break(first);
  h->Pass(absl::Seconds(1), {*worker});
  const uint64_t second = h->Join(NODE_ROLE_SERVER, "second");
  h->Prepared(second);
  return second;
}

uint64_t StartPlain(Harness* h, uint64_t* worker) {
  const uint64_t server = h->Join(NODE_ROLE_SERVER, "s");
  *worker = h->Join(NODE_ROLE_WORKER, "w");
  h->Submit(PlainSpec());
  h->Prepared(*worker, /*derived=*/true);
  h->Prepared(server);
  h->Installed(server, 1);
  return server;
}

// ---- damage ----

TEST_CASE("A damaged checkpoint is not loaded again: the next older one is, at last the initial parameters") {
  Harness h;
  uint64_t w;
  const uint64_t s = Replace(&h, {5, 10}, &w);
  REQUIRE(h.CurrentView().restore().version() == 10);
  h.Installed(s, h.CurrentView().view(), "checksum", /*damaged=*/true);
  REQUIRE(h.checks().size() == 1);
  CHECK(h.checks()[0].version == Version(10));
  CHECK(h.CurrentView().restore().version() == 10);  // until it is known whose fault it is
  h.Checked(kDamaged);
  CHECK(h.CurrentView().restore().version() == 5);
  CHECK(h.Said("the checkpoint of version 10 can't be used any more: theta.0 is damaged"));
  h.Installed(s, h.CurrentView().view(), "not there", /*damaged=*/true);
  h.Checked(absl::NotFoundError("no such folder"));
  CHECK(h.CurrentView().restore().version() == 0);
  CHECK(h.CurrentView().restore().checkpoint().empty());
  h.Installed(s, h.CurrentView().view());
  CHECK(h.GetJob().state() == JOB_STATE_RUNNING);
  CHECK(h.GetJob().checkpoints_size() == 0);
  h.Written(s, 0, 5);  // and it is written anew
  CHECK(h.commits().back().manifest.version() == 5);
}

TEST_CASE("A scheduler that is restarted while it checks a checkpoint checks it again") {
  Harness h;
  uint64_t w;
  const uint64_t s = Replace(&h, {10}, &w);
  h.Installed(s, h.CurrentView().view(), "checksum", /*damaged=*/true);
  h.Restart();
  REQUIRE(h.Open(s).ok());
  REQUIRE(h.Open(w).ok());
  REQUIRE(h.Last(s, Directive::kView) != nullptr);
  h.Installed(s, h.CurrentView().view(), "checksum", /*damaged=*/true);
  REQUIRE(h.checks().size() == 2);
  h.Checked(kDamaged);
  CHECK(h.CurrentView().restore().version() == 0);
}

TEST_CASE("A server that can't load what is whole stands aside, and the others go on without it") {
  Harness h;
  const uint64_t lost = h.Join(NODE_ROLE_SERVER, "lost"), good = h.Join(NODE_ROLE_SERVER, "good"),
                 bad = h.Join(NODE_ROLE_SERVER, "bad"), w = h.Join(NODE_ROLE_WORKER, "w");
  JobPlan plan = Plan();
  plan.add_group_sizes(1000);
  ParameterInfo& more = *plan.add_parameters();
  more.set_offset(200000);
  more.add_shape(1000);
  h.Submit();
  h.Prepared(w, /*derived=*/true, plan);
  for (uint64_t server : {lost, good, bad}) h.Prepared(server);
  REQUIRE(h.CurrentView().shards_size() == 3);
  for (uint32_t shard : {0, 1, 2}) h.Written(h.CurrentView().shards(shard).primary().node_id(), shard, 5);
  h.CommitLast();
  h.Break(lost);
  h.Pass(absl::Seconds(1), {good, bad, w});
  REQUIRE(h.CurrentView().restore().version() == 5);
  bool damaged = false;
  SECTION("because of its own memory, which it takes for damage") { damaged = true; }
  SECTION("because of its disk") {}
  h.Installed(good, h.CurrentView().view());
  h.Installed(bad, h.CurrentView().view(), "Input/output error", damaged);
  if (damaged) h.Checked(absl::OkStatus());
  CHECK(h.GetJob().state() == JOB_STATE_RUNNING);
  CHECK(h.GetJob().checkpoints_size() == 1);
  REQUIRE(h.CurrentView().shards_size() == 1);
  CHECK(h.CurrentView().shards(0).primary().node_id() == good);
  CHECK(h.CurrentView().restore().version() == 5);
  h.Installed(good, h.CurrentView().view());
  h.Clear();
  h.Pass(absl::Seconds(5), {good, bad, w});
  CHECK(h.Last(bad, Directive::kPrepareJob) != nullptr);  // it may be better by now
}

TEST_CASE(
    "What no server can load though it is whole fails the job with the reason, after attempts of each") {
  Harness h;
  uint64_t w;
  const uint64_t s1 = Replace(&h, {10}, &w);
  const uint64_t s2 = h.Join(NODE_ROLE_SERVER, "other");
  for (int attempt = 0; h.GetJob().state() == JOB_STATE_RUNNING; ++attempt) {
    REQUIRE(attempt < 20);
    for (uint64_t s : {s1, s2}) {
      h.Prepared(s);
      if (h.GetJob().state() == JOB_STATE_RUNNING)
        h.Installed(s, h.CurrentView().view(), "stale file handle");
    }
    h.Pass(absl::Seconds(10), {s1, s2, w});
  }
  CHECK(h.GetJob().state() == JOB_STATE_FAILED);
  CHECK(h.GetJob().reason() == "stale file handle");
  CHECK(h.checks().empty());
}

TEST_CASE("A server that can't load a later restore point is heard while an older one is still checked") {
  Harness h;
  uint64_t w;
  const uint64_t first = Replace(&h, {5}, &w);
  h.Installed(first, h.CurrentView().view(), "checksum", /*damaged=*/true);
  REQUIRE(h.checks().size() == 1);  // which takes long
  for (uint64_t version : {10}) {
    h.Written(first, 0, version);
    h.CommitLast();
  }
  h.Break(first);
  h.Pass(absl::Seconds(1), {w});
  const uint64_t second = h.Join(NODE_ROLE_SERVER, "third");
  h.Prepared(second);
  REQUIRE(h.CurrentView().restore().version() == 10);
  h.Installed(second, h.CurrentView().view(), "checksum", /*damaged=*/true);
  REQUIRE(h.checks().size() == 2);
  CHECK(h.checks()[1].version == Version(10));
  h.Checked(kDamaged);
  CHECK(h.CurrentView().restore().version() == 5);
}

TEST_CASE("A server that can't load a checkpoint does not fail the job while a good one starts anew") {
  Harness h;
  uint64_t w;
  const uint64_t bad = Replace(&h, {10}, &w);
  h.Installed(bad, h.CurrentView().view(), "stale file handle");
  for (int seconds : {1, 2, 4}) {
    h.Pass(absl::Seconds(seconds) + absl::Milliseconds(200), {bad, w});
    h.Prepared(bad);
    h.Installed(bad, h.CurrentView().view(), "stale file handle");
  }
  CHECK(h.GetJob().state() == JOB_STATE_RUNNING);
  const uint64_t good = h.Join(NODE_ROLE_SERVER, "good");
  h.Prepared(good);
  h.Installed(good, h.CurrentView().view());
  h.Pass(absl::Seconds(10), {bad, good, w});
  CHECK(h.GetJob().state() == JOB_STATE_RUNNING);
}

// ---- storage that is not there, or gives errors ----

constexpr char kNotThere[] = "the storage of the checkpoints is not there: /mnt/x is empty: mount it";

// Installs fail on `server` in this way, as often as it is asked, for so long.
void FailToRestore(Harness* h, uint64_t server, uint64_t worker, absl::Duration time,
                   const std::string& error, RestoreTrouble trouble) {
  for (const absl::Time end = h->now() + time; h->now() < end;) {
    h->Clear();
    h->Pass(absl::Milliseconds(100), {server, worker});
    if (h->Last(server, Directive::kPrepareJob) != nullptr) h->Prepared(server);
    if (h->Last(server, Directive::kView) != nullptr && h->GetJob().state() == JOB_STATE_RUNNING)
      h->Installed(server, h->CurrentView().view(), error, /*damaged=*/false, trouble);
  }
}

TEST_CASE("A job whose storage is not there waits, says why, and forgets nothing") {
  Harness h;
  uint64_t w;
  const uint64_t s = Replace(&h, {5, 10}, &w);
  if (GENERATE(true, false)) {  // the server finds it
    h.Installed(s, h.CurrentView().view(), kNotThere, /*damaged=*/false, RESTORE_TROUBLE_STORAGE);
  } else {  // the scheduler does
    h.Installed(s, h.CurrentView().view(), "version-10 is no checkpoint", /*damaged=*/true);
    h.Checked(absl::UnavailableError(kNotThere));
  }
  CHECK_THAT(h.GetJob().reason(), Contains("second") && Contains(kNotThere));
  FailToRestore(&h, s, w, absl::Minutes(2), kNotThere, RESTORE_TROUBLE_STORAGE);
  REQUIRE(h.GetJob().state() == JOB_STATE_RUNNING);
  CHECK(h.GetJob().checkpoints_size() == 2);
  CHECK_THAT(h.GetJob().reason(), Contains("second") && Contains(kNotThere));
  SECTION("it comes back") {
    h.Clear();
    h.Pass(absl::Minutes(3), {s, w});
    h.Prepared(s);
    CHECK(h.CurrentView().restore().version() == 10);
    h.Installed(s, h.CurrentView().view());
    CHECK(h.GetJob().reason() == "");
  }
  SECTION("it does not") {
    FailToRestore(&h, s, w, absl::Minutes(12), kNotThere, RESTORE_TROUBLE_STORAGE);
    CHECK(h.GetJob().state() == JOB_STATE_FAILED);
    CHECK_THAT(h.GetJob().reason(), Contains(kNotThere));
    CHECK(h.GetJob().checkpoints_size() == 2);
  }
}

TEST_CASE("A version that gives I/O errors on all servers, again and again, is left for the older one") {
  Harness h;
  uint64_t w;
  const uint64_t s = Replace(&h, {5, 10}, &w);
  h.Installed(s, h.CurrentView().view(), "Input/output error", /*damaged=*/false, RESTORE_TROUBLE_UNREADABLE);
  CHECK(h.GetJob().checkpoints_size() == 2);
  FailToRestore(&h, s, w, absl::Seconds(25), "Input/output error", RESTORE_TROUBLE_UNREADABLE);
  REQUIRE(h.GetJob().state() == JOB_STATE_RUNNING);
  CHECK(h.checks().empty());  // nothing is set aside
  CHECK(h.deleted().empty());
  CHECK(h.Said("the checkpoint of version 10 can't be used any more: Input/output error"));
  h.Pass(absl::Seconds(10), {s, w});
  h.Prepared(s);
  CHECK(h.CurrentView().restore().version() == 5);
  h.Installed(s, h.CurrentView().view());
  h.Written(s, 0, 10);  // and it is written anew
  CHECK(h.commits().back().manifest.version() == 10);
}

TEST_CASE("A result whose storage is not there is read when it is back") {
  Harness h;
  uint64_t w;
  const uint64_t s = StartPlain(&h, &w);
  h.Reached(s, 0, 20);
  h.Written(s, 0, 20);
  h.CommitLast();
  h.EvaluatedAll(w, EVALUATION_SET_TEST, 20);
  for (int minutes = 0; minutes < 8; minutes += 3) {
    h.Computed(absl::UnavailableError(kNotThere));
    CHECK_THAT(h.GetJob().reason(), Contains(kNotThere));
    h.Pass(absl::Minutes(3), {s, w});
  }
  REQUIRE(h.GetJob().state() == JOB_STATE_TESTING);
  CHECK(h.results().size() == 4);
  SECTION("it is") {
    h.Computed("abc");
    CHECK(h.GetJob().state() == JOB_STATE_COMPLETED);
  }
  SECTION("it is not in time") {
    h.Pass(absl::Minutes(2), {s, w});
    h.Computed(absl::UnavailableError(kNotThere));
    CHECK(h.GetJob().state() == JOB_STATE_FAILED);
    CHECK(h.GetJob().checkpoints_size() == 1);
  }
}

TEST_CASE("Files that hang at the scheduler end a job that waits for them, and no other") {
  Harness h;
  uint64_t w;
  const uint64_t s = StartPlain(&h, &w);
  SECTION("a job that trains goes on, and says so") {
    h.Written(s, 0, 5);
    h.Pass(absl::Minutes(11), {s, w});
    CHECK(h.GetJob().state() == JOB_STATE_RUNNING);
    CHECK(h.Said("--storage-patience-ms"));
    for (uint64_t version = 6; version < 20; ++version) h.Written(s, 0, version);
    CHECK(h.commits().size() == 8);
  }
  SECTION("a job that waits for its result ends, and keeps its checkpoints") {
    h.Reached(s, 0, 20);
    h.Written(s, 0, 20);
    h.CommitLast();
    h.EvaluatedAll(w, EVALUATION_SET_TEST, 20);
    h.Pass(absl::Minutes(9), {s, w});
    CHECK(h.GetJob().state() == JOB_STATE_TESTING);
    h.Pass(absl::Minutes(2), {s, w});
    CHECK(h.GetJob().state() == JOB_STATE_FAILED);
    CHECK_THAT(h.GetJob().reason(), Contains("--storage-patience-ms"));
    CHECK(h.GetJob().checkpoints_size() == 1);
  }
}

TEST_CASE("A server that hangs keeps a job from failing, or going back, only for a while") {
  Harness h;
  uint64_t w;
  const uint64_t s = Replace(&h, {5, 10}, &w);
  const uint64_t hung = h.Join(NODE_ROLE_SERVER, "hung");
  const auto fail_for = [&](absl::Duration time) {
    for (const absl::Time end = h.now() + time; h.now() < end;) {
      h.Clear();
      PassWith(&h, absl::Milliseconds(100), {s, w}, {{hung, Beat(ACTIVITY_PREPARE, 1000)}});
      if (h.Last(s, Directive::kPrepareJob) != nullptr) h.Prepared(s);
      if (h.Last(s, Directive::kView) != nullptr && h.GetJob().state() == JOB_STATE_RUNNING)
        h.Installed(s, h.CurrentView().view(), "Input/output error", /*damaged=*/false,
                    RESTORE_TROUBLE_UNREADABLE);
    }
  };
  h.Installed(s, h.CurrentView().view(), "Input/output error", /*damaged=*/false, RESTORE_TROUBLE_UNREADABLE);
  fail_for(absl::Minutes(2));
  CHECK(h.GetJob().checkpoints_size() == 2);  // the other may be well again
  fail_for(absl::Minutes(12));
  CHECK(h.GetJob().checkpoints_size() < 2);
}

// ---- full disks ----

constexpr char kNoRoom[] = "can't write to /mnt/x/shard-0: No space left on device";

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
  CHECK(h.GetJob().state() == JOB_STATE_TESTING);  // its own time has begun just now
  h.Written(s, 0, 20);
  h.CommitLast();
  CHECK(h.GetJob().reason().find(kNoRoom) == std::string::npos);
}

TEST_CASE("A commit for which there is no room is tried again, until a newer version takes its place") {
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

TEST_CASE("A result that a broken disk does not take is trained again but once") {
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

TEST_CASE("A full disk is told once, leaves no parts behind, and makes the job's state no longer") {
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
  h.Written(s1, 0, 1995);  // after its other part had failed: it would lie there for ever
  CHECK(h.deleted_parts().size() == 1995 / 5 + 1);
  CHECK(h.deleted().empty());  // another training's version may have that name
  const auto told = std::count_if(h.messages().begin(), h.messages().end(), [](const std::string& message) {
    return message.find("No space left") != std::string::npos;
  });
  CHECK(told == 1);
  CHECK(h.commits().empty());
  h.Written(s1, 0, 2000);
  h.Written(s2, 1, 2000);
  CHECK(h.commits().size() == 1);
}

TEST_CASE("Parts of versions that never become whole are forgotten, the oldest first") {
  ShardCollector collector;
  collector.Reset(1, 2);
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

// ---- the result ----

TEST_CASE("A result that is lost while it is read is trained again, whatever the reading came to") {
  Harness h;
  JobPlan plan = Plan();
  plan.set_test_examples(0);
  const uint64_t s = h.Join(NODE_ROLE_SERVER, "s"), w = h.Join(NODE_ROLE_WORKER, "w");
  h.Submit(PlainSpec());
  h.Prepared(w, /*derived=*/true, plan);
  h.Prepared(s);
  h.Installed(s, 1);
  h.Reached(s, 0, 20);
  h.Written(s, 0, 20);
  h.CommitLast();
  REQUIRE(h.results().size() == 1);
  h.core().CheckpointChecked(h.now(), JobId(1), Version(20), kDamaged);
  h.Take();
  h.Computed("abc");
  CHECK(h.GetJob().state() == JOB_STATE_TESTING);
  CHECK(h.CurrentView().restore().version() == 0);
}

TEST_CASE("A result that turns out to be damaged is trained again from an older version, some times") {
  Harness h;
  uint64_t w;
  const uint64_t s = StartPlain(&h, &w);
  h.Written(s, 0, 15);
  h.CommitLast();
  h.Reached(s, 0, 20);
  h.Written(s, 0, 20);
  h.CommitLast();
  h.EvaluatedAll(w, EVALUATION_SET_TEST, 20);
  REQUIRE(h.results().size() == 1);
  h.Computed(kDamaged);
  CHECK(h.GetJob().state() == JOB_STATE_TESTING);
  CHECK(h.CurrentView().restore().version() == 15);
  h.Installed(s, h.CurrentView().view());
  CHECK(h.Last(w, Directive::kView)->view().target().version() == 20);
  h.Reached(s, 0, 20);
  h.Written(s, 0, 20);
  h.CommitLast();
  REQUIRE(h.results().size() == 2);
  SECTION("which gives the same bits") {
    h.Computed("abc");
    CHECK(h.GetJob().state() == JOB_STATE_COMPLETED);
    CHECK(h.GetJob().result().parameters_sha256() == "abc");
  }
  SECTION("and a disk that damages all fails the job") {
    h.Computed(kDamaged);
    h.Installed(s, h.CurrentView().view());
    h.Reached(s, 0, 20);
    h.Written(s, 0, 20);
    h.CommitLast();
    h.Computed(kDamaged);
    CHECK(h.GetJob().state() == JOB_STATE_FAILED);
    CHECK_THAT(h.GetJob().reason(), Contains("version 20"));
  }
}

TEST_CASE("A result that gives I/O errors is read again, then trained again; its files stay") {
  Harness h;
  uint64_t w;
  const uint64_t s = StartPlain(&h, &w);
  h.Reached(s, 0, 20);
  h.Written(s, 0, 20);
  h.CommitLast();
  h.EvaluatedAll(w, EVALUATION_SET_TEST, 20);
  for (size_t attempt = 1; attempt <= 3; ++attempt) {
    REQUIRE(h.results().size() == attempt);
    CHECK(h.CurrentView().view() == 1);
    h.Computed(kBroken);
    h.Pass(absl::Seconds(5), {s, w});
  }
  CHECK(h.GetJob().state() == JOB_STATE_TESTING);
  CHECK(h.CurrentView().restore().version() == 0);
  CHECK(h.Said("the result can't be read: Input/output error"));
  CHECK(h.deleted().empty());
}

TEST_CASE("A best version that was never written is trained again: nobody waits for what can't come") {
  Harness h;
  const uint64_t first = h.Join(NODE_ROLE_SERVER, "first"), w = h.Join(NODE_ROLE_WORKER, "w");
  h.Start(first, w);
  h.Written(first, 0, 5);
  h.CommitLast();
  h.Reached(first, 0, 10);
  h.EvaluatedAll(w, EVALUATION_SET_VALIDATION, 10, /*right=*/2);
  h.Written(first, 0, 10, "No space left on device");
  h.Written(first, 0, 15);
  h.CommitLast();
  h.Break(first);
  h.Pass(absl::Seconds(1), {w});
  const uint64_t s = h.Join(NODE_ROLE_SERVER, "s");
  h.Prepared(s);
  REQUIRE(h.CurrentView().restore().version() == 15);
  h.Installed(s, h.CurrentView().view());
  h.Reached(s, 0, 20);
  h.EvaluatedAll(w, EVALUATION_SET_VALIDATION, 20, /*right=*/1);
  CHECK(h.CurrentView().restore().version() == 5);
  CHECK(h.Said("version 10, the result, is not there"));
  h.Installed(s, h.CurrentView().view());
  CHECK(h.Last(w, Directive::kView)->view().target().version() == 10);
  h.Reached(s, 0, 10);
  h.Written(s, 0, 10);
  CHECK(h.commits().back().manifest.version() == 10);
  h.CommitLast();
  h.EvaluatedAll(w, EVALUATION_SET_TEST, 10);
  REQUIRE(h.results().size() == 1);
  CHECK(h.results()[0].version == Version(10));
}

TEST_CASE("A result whose commit is still under way is waited for") {
  Harness h;
  const uint64_t s = h.Join(NODE_ROLE_SERVER, "s"), w = h.Join(NODE_ROLE_WORKER, "w");
  h.Start(s, w);
  h.Reached(s, 0, 10);
  h.EvaluatedAll(w, EVALUATION_SET_VALIDATION, 10, /*right=*/2);
  h.Written(s, 0, 10);  // its commit takes long
  h.Reached(s, 0, 20);
  h.EvaluatedAll(w, EVALUATION_SET_VALIDATION, 20, /*right=*/1);
  h.Written(s, 0, 20, "No space left on device");
  CHECK(h.CurrentView().view() == 1);
  h.CommitLast();
  CHECK(h.CurrentView().restore().version() == 10);
}

// Version 5 is being committed when its server is lost, and another one starts from the beginning.
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
  CHECK(h.commits()[0].restore_id == 1);
  CHECK(h.commits()[1].restore_id == 2);
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
  h.Written(s, 0, 15);  // its commit takes long
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

// ---- going on from another job's checkpoint ----

EvaluationRecord Verdict(uint64_t version, uint64_t right, double loss, bool best) {
  EvaluationRecord record;
  record.set_set(EVALUATION_SET_VALIDATION);
  record.set_version(version);
  record.mutable_statistics()->set_examples(10);
  record.mutable_statistics()->set_loss(10 * loss);
  for (uint64_t cell : {right, uint64_t{0}, 10 - right, uint64_t{0}})
    record.mutable_statistics()->add_confusion(cell);
  record.set_loss(loss);
  record.set_metric(loss);  // of a job whose metric was the loss
  record.set_best(best);
  return record;
}

ResumePoint From(const JobSpec& spec, const std::vector<uint64_t>& versions) {
  ResumePoint resume;
  resume.version = Version(versions.back());
  resume.directory = "copies/the-good-one";
  resume.numerics_text = NumericsText(spec);
  resume.spec_sha256 = Sha256Hex(resume.numerics_text);
  resume.plan_text = PlanText(Plan());
  resume.plan_sha256 = Sha256Hex(resume.plan_text);
  for (uint64_t version : versions)
    resume.others.push_back({Version(version), "copies/" + std::to_string(version)});
  resume.others.back().directory = resume.directory;
  return resume;
}

// The job has gone on from `resume` up to the end, with an evaluation that is worse than what was there
// before.
void RunResumed(Harness* h, const ResumePoint& resume, uint64_t* s, uint64_t* w) {
  *s = h->Join(NODE_ROLE_SERVER, "s"), *w = h->Join(NODE_ROLE_WORKER, "w");
  h->Submit(Spec(), "id", resume);
  h->Prepared(*w, /*derived=*/true);
  h->Prepared(*s);
  REQUIRE(h->CurrentView().restore().checkpoint() == resume.directory);
  h->Installed(*s, 1);
  h->Reached(*s, 0, 20);
  h->EvaluatedAll(*w, EVALUATION_SET_VALIDATION, 20, /*right=*/1);
}

TEST_CASE("A lone copy of a version is gone on from: the best so far, which is not with it, does not count") {
  Harness h;
  ResumePoint resume = From(Spec(), {15});
  resume.evaluations = {Verdict(10, 9, 0.5, true)};
  uint64_t s, w;
  RunResumed(&h, resume, &s, &w);
  CHECK(h.Said("version 10, the best, has no checkpoint any more"));
  CHECK(h.GetJob().state() == JOB_STATE_TESTING);
  h.Written(s, 0, 20);
  h.CommitLast();
  h.EvaluatedAll(w, EVALUATION_SET_TEST, 20);
  REQUIRE(h.results().size() == 1);
  CHECK(h.results()[0].version == Version(20));
}

TEST_CASE("A second job that goes on keeps the best of all, whichever job has written it") {
  Harness h;
  ResumePoint resume = From(Spec(), {10, 15});
  resume.evaluations = {Verdict(10, 9, 0.5, true)};
  uint64_t s, w;
  RunResumed(&h, resume, &s, &w);
  CHECK_FALSE(h.Said("does not count"));
  h.Written(s, 0, 20);
  h.CommitLast();
  CHECK(h.CurrentView().restore().version() == 10);
  CHECK(h.CurrentView().restore().checkpoint() == "copies/10");
  h.Installed(s, h.CurrentView().view());
  h.EvaluatedAll(w, EVALUATION_SET_TEST, 10);
  REQUIRE(h.results().size() == 1);
  CHECK(h.results()[0].checkpoint == "copies/10");
}

TEST_CASE("A version that was the best in its time is marked so after a resume, though it is pruned") {
  Harness h;
  ResumePoint resume = From(Spec(), {10, 15});
  resume.evaluations = {Verdict(5, 8, 0.6, true), Verdict(10, 9, 0.5, true), Verdict(15, 8, 0.6, false)};
  uint64_t s, w;
  RunResumed(&h, resume, &s, &w);
  const Job job = h.GetJob();
  REQUIRE(job.evaluations_size() == 4);
  CHECK(job.evaluations(0).best());
  CHECK(job.evaluations(1).best());
  CHECK_FALSE(job.evaluations(2).best());
  CHECK_FALSE(job.evaluations(3).best());
}

TEST_CASE("A best version of the job before that is damaged is trained again, from the start if need be") {
  Harness h;
  ResumePoint resume = From(Spec(), {10, 15});
  resume.evaluations = {Verdict(10, 9, 0.5, true)};
  uint64_t s, w;
  RunResumed(&h, resume, &s, &w);
  h.Written(s, 0, 20);
  h.CommitLast();
  h.Installed(s, h.CurrentView().view(), "checksum", /*damaged=*/true);
  h.Checked(kDamaged);
  CHECK(h.CurrentView().restore().version() == 0);
  h.Installed(s, h.CurrentView().view());
  h.Reached(s, 0, 10);
  h.Written(s, 0, 10);
  h.CommitLast();
  h.EvaluatedAll(w, EVALUATION_SET_TEST, 10);
  REQUIRE(h.results().size() == 1);
  CHECK(h.results()[0].version == Version(10));
}

TEST_CASE("Another metric on resume judges the old evaluations anew, by their statistics") {
  Harness h;
  JobSpec spec = Spec();
  spec.mutable_evaluation()->set_metric(METRIC_ACCURACY);
  ResumePoint resume = From(spec, {5, 10, 15});
  resume.evaluations = {Verdict(5, 8, 0.9, true),
                        Verdict(10, 6, 0.5, true)};  // the loss liked the second better
  h.Submit(spec, "id", resume);
  const Job job = h.GetJob();
  REQUIRE(job.evaluations_size() == 2);
  CHECK(job.evaluations(0).metric() == Approx(0.8));
  CHECK(job.evaluations(0).best());
  CHECK(job.evaluations(1).metric() == Approx(0.6));
  CHECK_FALSE(job.evaluations(1).best());
}

TEST_CASE("Old evaluations without statistics count as long as the metric is theirs") {
  Harness h;
  JobSpec spec = Spec();
  const bool same = GENERATE(true, false);
  spec.mutable_evaluation()->set_metric(same ? METRIC_LOSS : METRIC_ACCURACY);
  ResumePoint resume = From(spec, {5, 10, 15});
  resume.metric = METRIC_LOSS;
  resume.evaluations = {Verdict(5, 8, 0.5, true)};
  resume.evaluations[0].clear_statistics();
  h.Submit(spec, "id", resume);
  CHECK(h.GetJob().evaluations(0).best() == same);
}

TEST_CASE("Old evaluations that are not finite are not the best") {
  Harness h;
  JobSpec spec = Spec();
  spec.mutable_evaluation()->set_metric(METRIC_LOSS);
  ResumePoint resume = From(spec, {5, 10, 15});
  resume.evaluations = {Verdict(5, 8, std::nan(""), true), Verdict(10, 6, 0.5, false)};
  h.Submit(spec, "id", resume);
  CHECK_FALSE(h.GetJob().evaluations(0).best());
  CHECK(h.GetJob().evaluations(1).best());
}

TEST_CASE(
    "A checkpoint that was trained on other data is refused when the data has been read, with what differs") {
  Harness h;
  const uint64_t s = h.Join(NODE_ROLE_SERVER, "s"), w = h.Join(NODE_ROLE_WORKER, "w");
  ResumePoint resume = From(Spec(), {10});
  JobPlan other = Plan();
  other.set_train_examples(99);
  FileDigest& file = *other.add_files();
  file.set_path("/there/data.tsv");
  file.set_sha256("0123");
  h.Submit(Spec(), "id", resume);
  h.Prepared(w, /*derived=*/true, other);
  h.Prepared(s);
  for (int second = 0; second < 10; ++second) {
    CHECK(h.GetJob().state() == JOB_STATE_PREPARING);  // another worker may come that has the data
    if (h.Last(w, Directive::kPrepareJob) != nullptr) h.Prepared(w, /*derived=*/true, other);
    h.Pass(absl::Seconds(1), {s, w});
  }
  CHECK(h.GetJob().state() == JOB_STATE_FAILED);
  CHECK(h.CurrentView().view() == 0);  // no server has heard where to write
  CHECK(h.Last(s, Directive::kPrepareJob) == nullptr);
  CHECK_THAT(h.GetJob().reason(), Contains(resume.plan_sha256) && Contains(Sha256Hex(PlanText(other))) &&
                                      Contains("data.file 1 data.tsv: SHA-256 0123 here, not set there") &&
                                      Contains("examples.training: 99 here, 100 there"));
}

TEST_CASE("A checkpoint of another job is refused with the fields that differ") {
  Harness h;
  JobSpec other = Spec();
  other.mutable_train()->set_rounds(40);
  const auto refused = h.core().Submit(h.now(), Harness::Request(other), From(Spec(), {10})).status();
  CHECK(absl::IsFailedPrecondition(refused));
  CHECK_THAT(std::string(refused.message()), Contains("train.rounds: 40 here, 20 there"));
  ResumePoint old = From(Spec(), {10});  // of format 1
  old.numerics_text.clear();
  CHECK_THAT(std::string(h.core().Submit(h.now(), Harness::Request(other), old).status().message()),
             Contains("model, data, optimizer, schedule, seed or slots differ"));
}

TEST_CASE("A resume of which nothing is whole starts from the initial parameters and says so") {
  Harness h;
  const uint64_t s = h.Join(NODE_ROLE_SERVER, "s"), w = h.Join(NODE_ROLE_WORKER, "w");
  ResumePoint resume;
  resume.damaged = {{Version(10), "copies/version-10"}};
  h.Submit(Spec(), "id", resume);
  REQUIRE(h.checks().size() == 1);
  CHECK(h.checks()[0].checkpoint == "copies/version-10");
  h.Checked(kDamaged);
  h.Prepared(w, /*derived=*/true);
  h.Prepared(s);
  CHECK(h.CurrentView().restore().checkpoint().empty());
  CHECK(h.Said("the job starts from the initial parameters"));
  CHECK(h.Said("version-N.damaged"));
}

TEST_CASE("A commit carries what a resume compares") {
  Harness h;
  uint64_t w;
  const uint64_t s = StartPlain(&h, &w);
  h.Written(s, 0, 5);
  const CheckpointManifest& manifest = h.commits().back().manifest;
  CHECK(manifest.spec_sha256() == Sha256Hex(manifest.numerics_text()));
  CHECK(manifest.numerics_text() == NumericsText(PlainSpec()));
  CHECK(manifest.plan_sha256() == Sha256Hex(manifest.plan_text()));
  CHECK(manifest.plan_text() == PlanText(Plan()));
}

// ---- not finite ----

TEST_CASE("A slot without a finite loss ends the job, and names round and slot") {
  Harness h;
  const uint64_t s = h.Join(NODE_ROLE_SERVER, "s"), w = h.Join(NODE_ROLE_WORKER, "w");
  h.Start(s, w);
  NodeReport report;
  SlotFailed& failed = *report.mutable_slot_failed();
  failed.set_job(1);
  failed.set_restore_id(0);
  failed.set_round(7);
  failed.set_slot(2);
  failed.set_reason("the loss is not a number");
  REQUIRE(h.Report(w, report).ok());
  CHECK(h.GetJob().state() == JOB_STATE_RUNNING);  // of before a rewind
  failed.set_restore_id(h.CurrentView().restore().restore_id());
  SECTION("in training") {
    REQUIRE(h.Report(w, report).ok());
    CHECK(h.GetJob().reason() == "round 7, slot 2: the loss is not a number");
  }
  SECTION("in an evaluation") {
    failed.set_set(EVALUATION_SET_VALIDATION);
    REQUIRE(h.Report(w, report).ok());
    CHECK(h.GetJob().reason() == "evaluation after round 7, slot 2: the loss is not a number");
  }
  CHECK(h.GetJob().state() == JOB_STATE_FAILED);
  CHECK(h.Last(w, Directive::kCloseJob) != nullptr);
}

TEST_CASE("A round whose statistics are not finite ends the job") {
  Harness h;
  uint64_t w;
  const uint64_t s = StartPlain(&h, &w);
  NodeReport report;
  ShardProgress& progress = *report.mutable_shard_progress();
  SetKey(h.KeyOfView(), &progress);
  progress.set_version(1);
  progress.add_rounds()->mutable_stats()->set_loss(std::numeric_limits<double>::infinity());
  REQUIRE(h.Report(s, report).ok());
  CHECK(h.GetJob().state() == JOB_STATE_FAILED);
  CHECK_THAT(h.GetJob().reason(), Contains("round 0"));
}

JobSpec LanguageModelSpec() {
  JobSpec spec;
  spec.set_name("test");
  spec.set_task(TASK_CAUSAL_LANGUAGE_MODELLING);
  spec.mutable_data()->add_files("data.txt");
  spec.mutable_train()->set_rounds(20);
  spec.mutable_train()->set_slots(kSlots);
  spec.mutable_optimizer()->set_learning_rate(0.1);
  spec.mutable_evaluation()->mutable_every()->set_rounds(10);
  spec.mutable_evaluation()->set_metric(METRIC_PERPLEXITY);
  CompleteJob(&spec);
  return spec;
}

void EvaluatedWith(Harness* h, uint64_t worker, uint64_t version, double loss) {
  for (uint32_t slot = 0; slot < kSlots; ++slot) {
    NodeReport report;
    SlotEvaluated& evaluated = *report.mutable_slot_evaluated();
    evaluated.set_job(1);
    evaluated.set_restore_id(h->CurrentView().restore().restore_id());
    evaluated.set_version(version);
    evaluated.set_set(EVALUATION_SET_VALIDATION);
    evaluated.set_slot(slot);
    evaluated.mutable_statistics()->set_examples(1);
    evaluated.mutable_statistics()->set_predicted_tokens(1);
    evaluated.mutable_statistics()->set_loss(loss);
    REQUIRE(h->Report(worker, report).ok());
  }
}

TEST_CASE("A metric that overflows though the loss is finite is never the best, and ends nothing") {
  Harness h;
  const uint64_t s = h.Join(NODE_ROLE_SERVER, "s"), w = h.Join(NODE_ROLE_WORKER, "w");
  h.Submit(LanguageModelSpec());
  h.Prepared(w, /*derived=*/true);
  h.Prepared(s);
  h.Installed(s, 1);
  const bool first_overflows = GENERATE(true, false);
  h.Reached(s, 0, 10);
  EvaluatedWith(&h, w, 10, first_overflows ? 1e6 : 1);  // e to a million
  h.Reached(s, 0, 20);
  EvaluatedWith(&h, w, 20, first_overflows ? 1 : 1e6);
  const Job job = h.GetJob();
  CHECK(job.state() == JOB_STATE_TESTING);
  REQUIRE(job.evaluations_size() == 2);
  CHECK(std::isinf(job.evaluations(first_overflows ? 0 : 1).metric()));
  CHECK_FALSE(job.evaluations(first_overflows ? 0 : 1).best());
  CHECK(job.evaluations(first_overflows ? 1 : 0).best());
}

TEST_CASE("An evaluation whose mean loss is not finite ends the job, and is not the best") {
  Harness h;
  const uint64_t s = h.Join(NODE_ROLE_SERVER, "s"), w = h.Join(NODE_ROLE_WORKER, "w");
  h.Submit(LanguageModelSpec());
  h.Prepared(w, /*derived=*/true);
  h.Prepared(s);
  h.Installed(s, 1);
  h.Reached(s, 0, 10);
  EvaluatedWith(&h, w, 10, 1);
  h.Reached(s, 0, 20);
  EvaluatedWith(&h, w, 20, std::nan(""));
  CHECK(h.GetJob().state() == JOB_STATE_FAILED);
  CHECK_THAT(h.GetJob().reason(), Contains("version 20: the mean loss of the validation examples is"));
  CHECK(h.GetJob().evaluations_size() == 1);
}

TEST_CASE(
    "Parameters that are not finite end the job when they are the result, and else only are no checkpoint") {
  Harness h;
  uint64_t w;
  const uint64_t s = StartPlain(&h, &w);
  h.Written(s, 0, 5, "block 3: a parameter is infinite or not a number", /*not_finite=*/true);
  CHECK(h.GetJob().state() == JOB_STATE_RUNNING);
  CHECK(h.Said("checkpoint of version 5 could not be written: block 3"));
  h.Reached(s, 0, 20);
  h.Written(s, 0, 20, "block 3: a parameter is infinite or not a number", /*not_finite=*/true);
  CHECK(h.GetJob().state() == JOB_STATE_FAILED);
  CHECK_THAT(h.GetJob().reason(), Contains("version 20, the result: block 3: a parameter is infinite"));
}

// ---- metrics ----

TEST_CASE("Statistics of rounds that the training does not have are dropped") {
  Harness h;
  uint64_t w;
  const uint64_t s = StartPlain(&h, &w);
  h.Rounds(s, 0, 5);
  NodeReport report;
  ShardProgress& progress = *report.mutable_shard_progress();
  SetKey(h.KeyOfView(), &progress);
  progress.set_version(5);
  progress.add_rounds()->set_round(uint64_t{1} << 40);
  REQUIRE(h.Report(s, report).ok());
  h.Rounds(s, 5, 20);
  h.EvaluatedAll(w, EVALUATION_SET_TEST, 20);
  h.Written(s, 0, 20);
  h.CommitLast();
  h.Computed("abc");
  REQUIRE(h.GetJob().state() == JOB_STATE_COMPLETED);
  CHECK(h.GetJob().result().examples() == 200);
}

TEST_CASE("A restarted scheduler misses no round's statistics, however rarely it records them") {
  constexpr uint64_t kEnd = 6 * kRoundStatisticsKept, kRestart = kEnd / 2, kReport = 50;
  JobSpec spec = PlainSpec();
  spec.mutable_train()->set_rounds(kEnd);
  spec.mutable_checkpoint()->mutable_every()->set_never(true);
  spec.mutable_log_every()->set_rounds(5 * kRoundStatisticsKept);
  JobPlan plan = Plan();
  plan.set_rounds(kEnd);
  Harness h;
  const uint64_t s = h.Join(NODE_ROLE_SERVER, "s"), w = h.Join(NODE_ROLE_WORKER, "w");
  h.Submit(spec);
  h.Prepared(w, /*derived=*/true, plan);
  h.Prepared(s);
  h.Installed(s, 1);
  for (uint64_t round = 0; round < kRestart; round += kReport) h.Rounds(s, round, round + kReport);
  h.Restart();
  REQUIRE(h.Open(s).ok());
  REQUIRE(h.Open(w).ok());
  h.Installed(s, 1);
  h.Rounds(s, kRestart - kRoundStatisticsKept, kRestart);  // what the server still has
  for (uint64_t round = kRestart; round < kEnd; round += kReport) h.Rounds(s, round, round + kReport);
  h.EvaluatedAll(w, EVALUATION_SET_TEST, kEnd);
  h.Written(s, 0, kEnd);
  h.CommitLast();
  h.Computed("abc");
  REQUIRE(h.GetJob().state() == JOB_STATE_COMPLETED);
  CHECK(h.GetJob().result().examples() == 10 * kEnd);
}

TEST_CASE("Metrics that servers have forgotten while the scheduler was away are said to be lost") {
  Harness h;
  uint64_t w;
  const uint64_t s = StartPlain(&h, &w);
  h.Rounds(s, 0, 5);
  CHECK_FALSE(h.Said("are lost"));
  h.Rounds(s, 3, 7);  // again, and more
  CHECK_FALSE(h.Said("are lost"));
  h.Rounds(s, 12, 15);
  CHECK(h.Said("metrics of rounds 8 to 12 are lost"));
}

}  // namespace
}  // namespace shoal::scheduler
