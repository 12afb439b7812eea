// Restore points that are damaged, or that servers cannot load.
#include <string>
#include <vector>

#include "catch2/catch.hpp"
#include "scheduler/core_harness.h"

namespace shoal::scheduler {
namespace {

using Catch::Matchers::Contains;

// A job that has committed `versions` and lost its server; another server is to take over.
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

// For `time`, every install on `server` fails in this way.
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

TEST_CASE("A restore point that no server can load fails the job after several attempts") {
  Harness h;
  const uint64_t s = h.Join(NODE_ROLE_SERVER, "s"), w = h.Join(NODE_ROLE_WORKER, "w");
  h.Submit();
  h.Prepared(w, true);
  h.Prepared(s);
  for (int attempt = 0; attempt < 3; ++attempt) {
    CHECK(h.GetJob().state() == JOB_STATE_RUNNING);
    h.Installed(s, h.CurrentView().view(), "the weights are gone");
    h.Pass(absl::Seconds(5), {s, w});
    if (attempt < 2) h.Prepared(s);
  }
  CHECK(h.GetJob().state() == JOB_STATE_FAILED);
  CHECK(h.GetJob().reason() == "the weights are gone");
}

TEST_CASE("After a damaged checkpoint the next older one is loaded, in the end the initial parameters") {
  Harness h;
  uint64_t w;
  const uint64_t s = Replace(&h, {5, 10}, &w);
  REQUIRE(h.CurrentView().restore().version() == 10);
  h.Installed(s, h.CurrentView().view(), "checksum", /*damaged=*/true);
  REQUIRE(h.checks().size() == 1);
  CHECK(h.checks()[0].version == Version(10));
  CHECK(h.CurrentView().restore().version() == 10);  // until it is known what is at fault
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
  h.Written(s, 0, 5);  // and it is written again
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

TEST_CASE("A server that can't load an intact checkpoint is left out, and the others go on without it") {
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
  CHECK(h.Last(bad, Directive::kPrepareJob) != nullptr);  // it may have recovered by now
}

TEST_CASE(
    "An intact checkpoint that no server can load fails the job with the reason, after attempts by each") {
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

TEST_CASE("A server's report on a later restore point counts while an older one is still being checked") {
  Harness h;
  uint64_t w;
  const uint64_t first = Replace(&h, {5}, &w);
  h.Installed(first, h.CurrentView().view(), "checksum", /*damaged=*/true);
  REQUIRE(h.checks().size() == 1);  // which takes a long time
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

TEST_CASE("A server that can't load a checkpoint does not fail the job while a good one restarts") {
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

TEST_CASE("A job whose storage is missing waits, says why, and forgets nothing") {
  Harness h;
  uint64_t w;
  const uint64_t s = Replace(&h, {5, 10}, &w);
  if (GENERATE(true, false)) {  // the server finds out
    h.Installed(s, h.CurrentView().view(), kNotThere, /*damaged=*/false, RESTORE_TROUBLE_STORAGE);
  } else {  // the scheduler finds out
    h.Installed(s, h.CurrentView().view(), "version-10 is not a checkpoint", /*damaged=*/true);
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
  h.Written(s, 0, 10);  // and it is written again
  CHECK(h.commits().back().manifest.version() == 10);
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
  CHECK(h.GetJob().checkpoints_size() == 2);  // the other may recover
  fail_for(absl::Minutes(12));
  CHECK(h.GetJob().checkpoints_size() < 2);
}

}  // namespace
}  // namespace shoal::scheduler
