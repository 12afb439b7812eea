// How a job gets its result, and what it does when the result's checkpoint is lost.
#include <string>
#include <vector>

#include "catch2/catch.hpp"
#include "scheduler/core_harness.h"

namespace shoal::scheduler {
namespace {

using Catch::Matchers::Contains;

const absl::Status kBroken = absl::UnknownError("Input/output error");

TEST_CASE(
    "The best version is kept: the servers go back to it for the test, then its parameters are the result") {
  Harness h;
  const uint64_t s = h.Join(NODE_ROLE_SERVER, "s"), w = h.Join(NODE_ROLE_WORKER, "w");
  h.Start(s, w);
  for (uint64_t version : {5, 10}) {
    h.Written(s, 0, version);
    h.CommitLast();
  }
  h.Reached(s, 0, 10);
  h.EvaluatedAll(w, EVALUATION_SET_VALIDATION, 10, /*right=*/2);
  h.Reached(s, 0, 20);
  h.EvaluatedAll(w, EVALUATION_SET_VALIDATION, 20, /*right=*/1);
  CHECK(h.GetJob().state() == JOB_STATE_TESTING);
  CHECK(h.CurrentView().restore().version() == 0);  // the last version's checkpoint comes first
  h.Written(s, 0, 20);
  CHECK(h.CurrentView().restore().version() == 0);
  h.CommitLast();
  CHECK(h.CurrentView().restore().version() == 10);
  h.Installed(s, 2);
  h.EvaluatedAll(w, EVALUATION_SET_TEST, 10);
  REQUIRE(h.results().size() == 1);
  CHECK(h.results()[0].version == Version(10));
  h.core().ResultComputed(h.now(), JobId(1), Version(10), absl::StatusOr<std::string>("abc"));
  h.Take();
  CHECK(h.GetJob().state() == JOB_STATE_COMPLETED);
  CHECK(h.GetJob().result().parameters_sha256() == "abc");
  CHECK(h.GetJob().result().version() == 10);
  CHECK(*h.GetJob().checkpoints().rbegin() == 20);
  CHECK(h.Last(w, Directive::kCloseJob) != nullptr);
  CHECK(h.cleared_folders() == std::vector<std::string>{h.GetJob().checkpoint_dir()});
}

TEST_CASE("A last version that can't be written does not keep the best one from being tested") {
  Harness h;
  const uint64_t s = h.Join(NODE_ROLE_SERVER, "s"), w = h.Join(NODE_ROLE_WORKER, "w");
  h.Start(s, w);
  h.Written(s, 0, 10);
  h.CommitLast();
  h.Reached(s, 0, 10);
  h.EvaluatedAll(w, EVALUATION_SET_VALIDATION, 10, /*right=*/2);
  h.Reached(s, 0, 20);
  h.EvaluatedAll(w, EVALUATION_SET_VALIDATION, 20, /*right=*/1);
  h.Written(s, 0, 20, "No space left on device");
  CHECK(h.CurrentView().restore().version() == 10);
}

TEST_CASE("A result whose checkpoint can't be written is retried, then fails the job with the reason") {
  JobSpec spec = Spec();
  spec.mutable_evaluation()->mutable_every()->set_never(true);
  spec.mutable_evaluation()->set_keep_best(false);
  Harness h;
  const uint64_t s = h.Join(NODE_ROLE_SERVER, "s"), w = h.Join(NODE_ROLE_WORKER, "w");
  h.Submit(spec);
  h.Prepared(w, true);
  h.Prepared(s);
  for (int attempt = 0; attempt < 3; ++attempt) {
    h.Installed(s, h.CurrentView().view());
    h.Reached(s, 0, 20);
    h.Written(s, 0, 20, "No space left on device");
  }
  CHECK(h.GetJob().state() == JOB_STATE_FAILED);
  CHECK_THAT(h.GetJob().reason(), Catch::Matchers::Contains("could not be written"));
}

TEST_CASE("A result whose storage is missing is read when the storage is back") {
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

TEST_CASE("A result that is lost while it is read is trained again, whatever the outcome of the read") {
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

TEST_CASE("A result that turns out to be damaged is trained again from an older version, a few times") {
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
  CHECK(h.Said("version 10, the result, is missing"));
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

TEST_CASE("A result whose commit is still in progress is waited for") {
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

TEST_CASE("While a result that was lost is trained again, workers that all fail end the job") {
  Harness h;
  uint64_t server = h.Join(NODE_ROLE_SERVER, "s");
  const uint64_t w = h.Join(NODE_ROLE_WORKER, "w");
  h.Start({server}, {w}, PlainSpec());
  h.Rounds(server, 0, 20);
  h.Written(server, 0, 20);
  h.CommitLast();
  h.EvaluatedAll(w, EVALUATION_SET_TEST, 20);
  h.Computed(kBroken);  // read again soon
  h.Break(server);
  h.Pass(absl::Milliseconds(500), {w});
  server = h.Join(NODE_ROLE_SERVER, "s2");
  h.Prepared(server);
  h.Pass(absl::Milliseconds(200), {server, w});
  h.Installed(server, h.CurrentView().view(), "theta.0 is damaged", /*damaged=*/true);
  h.Checked(kDamaged);
  h.Pass(absl::Milliseconds(300), {server, w});
  h.Installed(server, h.CurrentView().view());
  for (int i = 0; i < 3; ++i) {
    h.Refused(w, "no memory");
    if (i == 2) break;
    h.Pass(absl::Seconds(1 << i) + absl::Milliseconds(300), {server, w});
    h.Prepared(w);
    h.Installed(server, h.CurrentView().view());
  }
  h.Pass(absl::Seconds(30), {server, w});
  CHECK(h.GetJob().state() == JOB_STATE_FAILED);
  CHECK_THAT(h.GetJob().reason(), Contains("no worker can do the work"));
}

// A job, without a test unless it `tests`, whose worker computes the last version while another node can't
// take part.
struct LastVersion {
  explicit LastVersion(const SchedulerOptions& options, NodeRole other, bool tests = false) : h(options) {
    JobPlan plan = Plan();
    if (!tests) plan.set_test_examples(0);
    s = h.Join(NODE_ROLE_SERVER, "s");
    w = h.Join(NODE_ROLE_WORKER, "w");
    h.Submit(PlainSpec());
    h.Prepared(w, /*derived=*/true, plan);
    h.Prepared(s);
    h.Installed(s, 1);
    bad = h.Join(other, "bad");
    for (int i = 0; i < 3; ++i) {
      h.Refused(bad, "no memory");
      h.Pass(absl::Seconds(1 << i) + absl::Milliseconds(300), {s, w, bad});
    }
    h.Rounds(s, 0, 20);
    REQUIRE(h.GetJob().state() == JOB_STATE_TESTING);
  }
  void Finish() {
    REQUIRE(h.GetJob().state() == JOB_STATE_TESTING);
    h.CommitLast();
    REQUIRE(h.results().size() == 1);
    h.Computed("abc");
    CHECK(h.GetJob().state() == JOB_STATE_COMPLETED);
  }

  Harness h;
  uint64_t s = 0, w = 0, bad = 0;
};

TEST_CASE("While the last version is being written, no worker is needed") {
  SchedulerOptions options;
  options.fixed_nodes = GENERATE(false, true);
  LastVersion last(options, NODE_ROLE_WORKER);
  last.h.Break(last.w);
  const absl::Duration patience = options.fixed_nodes ? absl::Seconds(25) : absl::Minutes(12);
  for (absl::Duration passed; passed < patience; passed += absl::Milliseconds(500)) {
    PassWith(&last.h, absl::Milliseconds(500), {last.bad}, {{last.s, Beat(ACTIVITY_WRITE_CHECKPOINT, 0.1)}});
    REQUIRE(last.h.GetJob().state() == JOB_STATE_TESTING);
  }
  last.h.Written(last.s, 0, 20);
  last.Finish();
}

TEST_CASE("While it is being committed, no node is needed") {
  SchedulerOptions options;
  options.fixed_nodes = true;
  const bool server = GENERATE(false, true);
  LastVersion last(options, server ? NODE_ROLE_SERVER : NODE_ROLE_WORKER);
  last.h.Written(last.s, 0, 20);
  REQUIRE(last.h.commits().size() == 1);
  last.h.Break(server ? last.s : last.w);
  last.h.Pass(absl::Seconds(25), {server ? last.w : last.s, last.bad});
  last.Finish();
}

// Lets the server that writes it hang for `minutes`, or until the job ends.
void HangWhileWriting(LastVersion* last, int minutes) {
  double idle = 1000;
  for (int i = 0; i < minutes * 120 && last->h.GetJob().state() == JOB_STATE_TESTING; ++i) {
    idle += 0.5;
    PassWith(&last->h, absl::Milliseconds(500), {last->bad},
             {{last->s, Beat(ACTIVITY_WRITE_CHECKPOINT, idle)}});
  }
}

TEST_CASE("When the server that writes it hangs for a while, it is waited for, but not for ever") {
  SchedulerOptions options;
  options.fixed_nodes = GENERATE(false, true);
  LastVersion last(options, NODE_ROLE_WORKER);
  last.h.Break(last.w);
  HangWhileWriting(&last, 8);
  SECTION("it recovers") {
    last.h.Written(last.s, 0, 20);
    last.Finish();
  }
  SECTION("it does not") {
    REQUIRE(last.h.GetJob().state() == JOB_STATE_TESTING);
    HangWhileWriting(&last, 6);
    CHECK(last.h.GetJob().state() == JOB_STATE_FAILED);
  }
}

TEST_CASE("A test needs a worker, whatever is committed") {
  SchedulerOptions options;
  options.fixed_nodes = true;
  LastVersion last(options, NODE_ROLE_WORKER, /*tests=*/true);
  last.h.Written(last.s, 0, 20);
  last.h.CommitLast();
  REQUIRE(last.h.GetJob().state() == JOB_STATE_TESTING);
  last.h.Break(last.w);
  last.h.Pass(absl::Minutes(1), {last.s, last.bad});
  CHECK(last.h.GetJob().state() == JOB_STATE_FAILED);
}

TEST_CASE("When the server that writes it is lost, and others can't take part, the job ends") {
  SchedulerOptions options;
  options.fixed_nodes = true;
  LastVersion last(options, NODE_ROLE_SERVER);
  last.h.Break(last.s);
  last.h.Pass(absl::Minutes(1), {last.w, last.bad});
  CHECK(last.h.GetJob().state() == JOB_STATE_FAILED);
}

}  // namespace
}  // namespace shoal::scheduler
