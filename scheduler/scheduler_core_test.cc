// The failure traces of docs/protocol.md on the scheduler's core, with a clock that tests move.
#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "catch2/catch.hpp"
#include "scheduler/core_harness.h"

namespace shoal::scheduler {
namespace {

TEST_CASE("A view goes to the servers first, and to workers when all of them hold it") {
  Harness h;
  const uint64_t s1 = h.Join(NODE_ROLE_SERVER, "s1"), s2 = h.Join(NODE_ROLE_SERVER, "s2"),
                 w = h.Join(NODE_ROLE_WORKER, "w");
  h.Submit();
  h.Prepared(w, true);
  h.Prepared(s1);
  h.Prepared(s2);
  REQUIRE(h.CurrentView().shards_size() == 2);
  CHECK(h.Last(s1, Directive::kView) != nullptr);
  CHECK(h.Last(w, Directive::kView) == nullptr);
  h.Installed(s1, 1);
  CHECK(h.Last(w, Directive::kView) == nullptr);
  h.Installed(s2, 1);
  REQUIRE(h.Last(w, Directive::kView) != nullptr);
  CHECK(h.Last(w, Directive::kView)->view().target().version() == 10);
}

TEST_CASE("A lost worker's slots go to the others in a new view, with the same restore point") {
  Harness h;
  const uint64_t s = h.Join(NODE_ROLE_SERVER, "s"), w1 = h.Join(NODE_ROLE_WORKER, "w1"),
                 w2 = h.Join(NODE_ROLE_WORKER, "w2");
  h.Start({s}, {w1, w2});
  REQUIRE(h.CurrentView().slots_size() == 2);
  h.Break(w1);
  h.Pass(absl::Milliseconds(300), {s, w2});
  CHECK(h.CurrentView().view() == 1);  // it may come back
  h.Pass(absl::Milliseconds(300), {s, w2});
  const View view = h.CurrentView();
  CHECK(view.view() == 2);
  REQUIRE(view.slots_size() == 1);
  CHECK(view.slots(0).worker().node_id() == w2);
  CHECK(view.slots(0).slot_end() == kSlots);
  CHECK(view.restore().restore_id() == 1);
  CHECK(h.Open(w1).code() == absl::StatusCode::kFailedPrecondition);
}

TEST_CASE("A frozen node's lease ends after its silence, and its stream is ended") {
  Harness h;
  const uint64_t s = h.Join(NODE_ROLE_SERVER, "s"), w1 = h.Join(NODE_ROLE_WORKER, "w1");
  h.Start(s, w1);
  h.Pass(absl::Seconds(2), {s});
  CHECK(h.ended_sessions().empty());
  h.Pass(absl::Seconds(2), {s});
  CHECK(h.ended_sessions() == std::vector<uint64_t>{w1});
  NodeReport heartbeat;
  heartbeat.mutable_heartbeat();
  CHECK(h.Report(w1, heartbeat).code() == absl::StatusCode::kFailedPrecondition);
}

TEST_CASE("A scheduler that was stopped for longer than a lease takes nobody for dead") {
  Harness h;
  const uint64_t s = h.Join(NODE_ROLE_SERVER, "s"), w = h.Join(NODE_ROLE_WORKER, "w");
  h.Start(s, w);
  h.Pass(absl::Seconds(1), {s, w});
  h.Sleep(absl::Seconds(20));
  SECTION("whose heartbeats come first") {}
  SECTION("whose streams have broken meanwhile, and come back") {
    h.Break(w);
    h.Pass(absl::Seconds(1), {s});
    REQUIRE(h.Open(w).ok());
  }
  SECTION("before it has ticked") { h.core().Tick(h.now()); }
  h.Pass(absl::Seconds(4), {s, w});
  CHECK(h.ended_sessions().empty());
  CHECK(h.CurrentView().view() == 1);
  h.Pass(absl::Seconds(4), {s});  // who is silent now is dead
  CHECK(h.ended_sessions() == std::vector<uint64_t>{w});
}

TEST_CASE("A session broken and opened again within its grace changes no view") {
  Harness h;
  const uint64_t s = h.Join(NODE_ROLE_SERVER, "s"), w = h.Join(NODE_ROLE_WORKER, "w");
  h.Start(s, w);
  h.Clear();
  h.Break(w);
  REQUIRE(h.Open(w).ok());
  h.Pass(absl::Seconds(1), {s, w});
  CHECK(h.CurrentView().view() == 1);
  CHECK(h.Last(w, Directive::kPrepareJob) != nullptr);  // whatever it missed is sent again
  CHECK(h.Last(w, Directive::kView) != nullptr);
}

TEST_CASE("A lost server sends the job back to its newest checkpoint, on the servers that are there") {
  Harness h;
  const uint64_t s1 = h.Join(NODE_ROLE_SERVER, "s1"), s2 = h.Join(NODE_ROLE_SERVER, "s2"),
                 w = h.Join(NODE_ROLE_WORKER, "w");
  h.Start({s1, s2}, {w});
  h.Written(s1, 0, 5);
  CHECK(h.commits().empty());
  h.Written(s2, 1, 5);
  REQUIRE(h.commits().size() == 1);
  CHECK(h.commits()[0].manifest.shards_size() == 2);
  h.CommitLast();
  h.Break(s1);
  h.Pass(absl::Seconds(1), {s2, w});
  const View view = h.CurrentView();
  CHECK(view.view() == 2);
  REQUIRE(view.shards_size() == 1);
  CHECK(view.shards(0).primary().node_id() == s2);
  CHECK(view.restore().restore_id() == 2);
  CHECK(view.restore().version() == 5);
  // Reports of before the rewind count no more.
  h.Clear();
  h.Installed(s2, 2);
  CHECK(h.Last(w, Directive::kView)->view().restore().version() == 5);
}

TEST_CASE("The target moves only when the verdict on the evaluation is there, from every slot") {
  Harness h;
  const uint64_t s = h.Join(NODE_ROLE_SERVER, "s"), w = h.Join(NODE_ROLE_WORKER, "w");
  h.Start(s, w);
  h.Reached(s, 0, 10);
  for (uint32_t slot = 0; slot + 1 < kSlots; ++slot) h.Evaluated(w, EVALUATION_SET_VALIDATION, 10, slot);
  h.Evaluated(w, EVALUATION_SET_VALIDATION, 10, 0);  // twice: counts once
  CHECK(h.Last(w, Directive::kTarget) == nullptr);
  h.Evaluated(w, EVALUATION_SET_VALIDATION, 10, kSlots - 1);
  REQUIRE(h.Last(w, Directive::kTarget) != nullptr);
  CHECK(h.Last(w, Directive::kTarget)->target().version() == 20);
  REQUIRE(h.GetJob().evaluations_size() == 1);
  CHECK(h.GetJob().evaluations(0).statistics().examples() == 2 * kSlots);
}

TEST_CASE("A restarted scheduler goes on: nodes report again, and nothing is decided twice") {
  Harness h;
  const uint64_t s = h.Join(NODE_ROLE_SERVER, "s"), w = h.Join(NODE_ROLE_WORKER, "w");
  h.Start(s, w);
  h.Reached(s, 0, 10);
  h.EvaluatedAll(w, EVALUATION_SET_VALIDATION, 10);
  h.Clear();
  h.Restart();
  REQUIRE(h.Open(s).ok());
  REQUIRE(h.Open(w).ok());
  h.Installed(s, 1);
  h.Pass(absl::Seconds(1), {s, w});
  CHECK(h.CurrentView().view() == 1);
  REQUIRE(h.Last(w, Directive::kView) != nullptr);
  CHECK(h.Last(w, Directive::kView)->view().target().version() == 20);
  CHECK(h.GetJob().evaluations_size() == 1);
}

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
  h.Restart();                                // before it knew that 15 is committed
  REQUIRE(h.Open(s).ok());
  const size_t before = h.commits().size();
  for (uint64_t version : {5, 10, 15}) h.Written(s, 0, version);
  REQUIRE(h.commits().size() == before + 1);
  CHECK(h.commits().back().manifest.version() == 15);
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

TEST_CASE("Training stops early when the patience is over") {
  JobSpec spec = Spec();
  spec.mutable_evaluation()->mutable_every()->set_rounds(5);
  spec.mutable_evaluation()->set_patience(1);
  Harness h;
  const uint64_t s = h.Join(NODE_ROLE_SERVER, "s"), w = h.Join(NODE_ROLE_WORKER, "w");
  h.Start({s}, {w}, spec);
  h.Reached(s, 0, 5);
  h.EvaluatedAll(w, EVALUATION_SET_VALIDATION, 5, 2);
  h.Reached(s, 0, 10);
  h.EvaluatedAll(w, EVALUATION_SET_VALIDATION, 10, 1);
  CHECK(h.GetJob().state() == JOB_STATE_TESTING);
}

TEST_CASE("A result whose checkpoint can't be written is tried again, then fails the job with the reason") {
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

TEST_CASE("A restore point that no server can load fails the job after some attempts") {
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

TEST_CASE(
    "When the worker that reads the data dies, another one does; when all refuse, the job fails with the "
    "reason") {
  Harness h;
  const uint64_t w1 = h.Join(NODE_ROLE_WORKER, "w1"), w2 = h.Join(NODE_ROLE_WORKER, "w2");
  h.Submit();
  REQUIRE(h.Last(w1, Directive::kPrepareJob) != nullptr);
  CHECK(h.Last(w1, Directive::kPrepareJob)->prepare_job().derive());
  h.Break(w1);
  h.Pass(absl::Seconds(1), {w2});
  REQUIRE(h.Last(w2, Directive::kPrepareJob) != nullptr);
  for (int attempt = 1; attempt <= 3; ++attempt) {
    CHECK(h.GetJob().state() == JOB_STATE_PREPARING);
    h.Clear();
    h.Refused(w2, "no memory");
    h.Pass(absl::Seconds(5), {w2});
    CHECK((h.Last(w2, Directive::kPrepareJob) != nullptr) == (attempt < 3));
  }
  CHECK(h.GetJob().state() == JOB_STATE_FAILED);
  CHECK(h.GetJob().reason() == "no worker can read the data; w2 can't take part: no memory");
}

TEST_CASE("A worker that can't derive the plan does not fail a job that wants more workers than refused") {
  JobSpec spec = Spec();
  spec.mutable_cluster()->set_min_workers(2);
  Harness h;
  const uint64_t bad = h.Join(NODE_ROLE_WORKER, "bad");
  h.Submit(spec);
  for (int attempt = 0; attempt < 5; ++attempt) {
    h.Refused(bad, "disk full");
    h.Pass(absl::Seconds(20), {bad});
  }
  CHECK(h.GetJob().state() == JOB_STATE_PREPARING);
  CHECK_THAT(h.GetJob().reason(), Catch::Matchers::Contains("bad can't take part: disk full") ||
                                      Catch::Matchers::Contains("bad reads the data"));
  h.Refused(bad, "disk full");
  const uint64_t good = h.Join(NODE_ROLE_WORKER, "good");
  REQUIRE(h.Last(good, Directive::kPrepareJob) != nullptr);
  CHECK(h.Last(good, Directive::kPrepareJob)->prepare_job().derive());
}

TEST_CASE("A worker that has refused a job is asked again, less and less often, and takes part when it can") {
  JobSpec spec = Spec();
  spec.mutable_cluster()->set_min_workers(2);
  Harness h;
  const uint64_t s = h.Join(NODE_ROLE_SERVER, "s"), w1 = h.Join(NODE_ROLE_WORKER, "w1"),
                 w2 = h.Join(NODE_ROLE_WORKER, "w2");
  h.Submit(spec);
  h.Prepared(w1, /*derived=*/true);
  h.Prepared(s);
  int asked = 0;
  for (int second = 0; second < 60; ++second) {
    if (h.Last(w2, Directive::kPrepareJob) != nullptr) {
      ++asked;
      h.Clear();
      h.Refused(w2, "disk full");
    }
    h.Pass(absl::Seconds(1), {s, w1, w2});
  }
  CHECK(asked >= 5);
  CHECK(asked <= 7);  // after 1, 2, 4, 8, 16, 32 s
  CHECK_THAT(h.GetJob().reason(), Catch::Matchers::Contains("w2 can't take part: disk full"));
  h.Prepared(w2);
  CHECK(h.GetJob().state() == JOB_STATE_RUNNING);
}

TEST_CASE("A worker whose slots fail gets a new view to try again, and the job fails when nobody else can") {
  Harness h;
  const uint64_t s = h.Join(NODE_ROLE_SERVER, "s"), w = h.Join(NODE_ROLE_WORKER, "w");
  h.Start(s, w);
  int failures = 0;
  for (; h.GetJob().state() == JOB_STATE_RUNNING; ++failures) {
    REQUIRE(failures < 10);
    const uint64_t view = h.CurrentView().view();
    h.Clear();
    h.Refused(w, "slot 2: no memory");
    if (h.GetJob().state() != JOB_STATE_RUNNING) continue;
    CHECK(h.CurrentView().view() == view);
    h.Pass(absl::Seconds(1 << failures) + absl::Milliseconds(200), {s, w});
    REQUIRE(h.Last(w, Directive::kPrepareJob) != nullptr);
    h.Prepared(w);
    CHECK(h.CurrentView().view() == view + 1);
    h.Installed(s, view + 1);
    CHECK(h.Last(w, Directive::kView) != nullptr);
  }
  CHECK(failures == 5);  // after 1, 2, 4 and 8 s
  CHECK(h.GetJob().state() == JOB_STATE_FAILED);
  CHECK(h.GetJob().reason() == "no worker can do the work; w failed 5 times in a row: slot 2: no memory");
  CHECK(std::count(h.messages().begin(), h.messages().end(), "w can't take part: slot 2: no memory") == 1);
}

TEST_CASE(
    "A worker whose slots fail while another's do not is tried less and less often, until some succeed") {
  Harness h;
  const uint64_t s = h.Join(NODE_ROLE_SERVER, "s"), w1 = h.Join(NODE_ROLE_WORKER, "w1"),
                 w2 = h.Join(NODE_ROLE_WORKER, "w2");
  h.Start({s}, {w1, w2});
  const auto fails = [&](absl::Duration pause) {
    h.Clear();
    h.Refused(w1, "slot 2: no memory");
    REQUIRE(h.CurrentView().slots_size() == 1);
    h.Installed(s, h.CurrentView().view());
    const std::map<uint64_t, NodeReport> computes = {{w2, Beat(ACTIVITY_COMPUTE, 0)}};
    PassWith(&h, pause - absl::Milliseconds(200), {s, w1}, computes);
    CHECK(h.Last(w1, Directive::kPrepareJob) == nullptr);
    PassWith(&h, absl::Milliseconds(400), {s, w1}, computes);
    REQUIRE(h.Last(w1, Directive::kPrepareJob) != nullptr);
    h.Prepared(w1);
    REQUIRE(h.CurrentView().slots_size() == 2);
    h.Installed(s, h.CurrentView().view());
  };
  for (int pause : {1, 2, 4, 8, 16}) fails(absl::Seconds(pause));
  CHECK(h.GetJob().state() == JOB_STATE_RUNNING);
  h.Reached(s, 0, 5);  // which the former view may have brought about
  fails(absl::Seconds(32));
  for (uint64_t version : {6, 7, 8}) h.Reached(s, 0, version);
  fails(absl::Seconds(1));
}

TEST_CASE("The time that a job lay stopped is not training time") {
  JobSpec spec = Spec();
  spec.mutable_evaluation()->mutable_every()->set_never(true);
  spec.mutable_evaluation()->set_keep_best(false);
  spec.mutable_log_every()->set_rounds(5);
  Harness h;
  const uint64_t s = h.Join(NODE_ROLE_SERVER, "s"), w = h.Join(NODE_ROLE_WORKER, "w");
  h.Start({s}, {w}, spec);
  h.Pass(absl::Seconds(4), {s, w});
  h.Rounds(s, 0, 5);  // a record: what is counted is stored
  h.Sleep(absl::Hours(10));
  h.Restart();
  REQUIRE(h.Open(s).ok());
  REQUIRE(h.Open(w).ok());
  h.Installed(s, 1);
  h.Pass(absl::Seconds(2), {s, w});
  h.Pass(absl::Seconds(5), {s});  // the worker dies after 3
  const uint64_t w2 = h.Join(NODE_ROLE_WORKER, "w2");
  h.Prepared(w2);
  h.Installed(s, h.CurrentView().view());
  h.Pass(absl::Seconds(2), {s, w2});
  h.Rounds(s, 5, 20);
  h.EvaluatedAll(w2, EVALUATION_SET_TEST, 20);
  h.Written(s, 0, 20);
  h.CommitLast();
  h.core().ResultComputed(h.now(), JobId(1), Version(20), absl::StatusOr<std::string>("abc"));
  h.Take();
  REQUIRE(h.GetJob().state() == JOB_STATE_COMPLETED);
  CHECK(h.GetJob().result().train_seconds() == Approx(4 + 2 + 3 + 2).margin(0.3));
}

TEST_CASE("Log intervals that arrive in one report share its time, so none has the speed 0") {
  JobSpec spec = Spec();
  spec.mutable_log_every()->set_rounds(2);
  Harness h;
  const uint64_t s = h.Join(NODE_ROLE_SERVER, "s"), w = h.Join(NODE_ROLE_WORKER, "w");
  h.Start({s}, {w}, spec);
  h.Pass(absl::Seconds(1), {s, w});
  h.Rounds(s, 0, 8);  // 80 examples in a second
  REQUIRE(h.metrics().size() == 4);
  for (const MetricRecord& metric : h.metrics()) CHECK(metric.examples_per_second() == Approx(80));
}

TEST_CASE("After a restart statistics count that come from a server which still serves the view before") {
  JobSpec spec = Spec();
  spec.mutable_log_every()->set_rounds(10);
  Harness h;
  const uint64_t s = h.Join(NODE_ROLE_SERVER, "s"), w = h.Join(NODE_ROLE_WORKER, "w");
  h.Start({s}, {w}, spec);
  h.Rounds(s, 0, 5);
  const uint64_t w2 = h.Join(NODE_ROLE_WORKER, "w2");
  h.Prepared(w2);
  REQUIRE(h.CurrentView().view() == 2);
  h.Restart();
  REQUIRE(h.Open(s).ok());
  h.Rounds(s, 0, 5, /*view=*/1);
  h.Installed(s, 2);
  h.Rounds(s, 5, 10);
  REQUIRE(h.metrics().size() == 1);
  CHECK(h.metrics()[0].round() == 10);
  CHECK(h.StoredState().examples() == 100);
}

TEST_CASE("A reason that quotes a damaged file does not make the store unreadable") {
  Harness h;
  const uint64_t s = h.Join(NODE_ROLE_SERVER, "s"), w = h.Join(NODE_ROLE_WORKER, "w");
  h.Start(s, w);
  h.Written(s, 0, 10, "no tensor 'theta\xFF'");
  for (int i = 0; i < 3; ++i) h.Installed(s, h.CurrentView().view(), "no tensor 'theta\xFF'");
  h.Restart();  // reads it
  CHECK(h.GetJob().job() == 1);
}

TEST_CASE("A cancelled job says how far it came") {
  Harness h;
  const uint64_t s = h.Join(NODE_ROLE_SERVER, "s"), w = h.Join(NODE_ROLE_WORKER, "w");
  h.Start(s, w);
  h.Reached(s, 0, 7);
  REQUIRE(h.core().Cancel(h.now(), JobId(1)).ok());
  h.Take();
  CHECK(h.GetJob().version() == 7);
}

TEST_CASE("A plan that differs from the stored one does not count as prepared") {
  Harness h;
  const uint64_t s = h.Join(NODE_ROLE_SERVER, "s"), w1 = h.Join(NODE_ROLE_WORKER, "w1");
  h.Start(s, w1);
  const uint64_t w2 = h.Join(NODE_ROLE_WORKER, "w2");
  h.Clear();
  NodeReport report;
  report.mutable_job_prepared()->set_job(1);
  *report.mutable_job_prepared()->mutable_plan() = Plan();
  report.mutable_job_prepared()->mutable_plan()->set_rounds(21);
  REQUIRE(h.Report(w2, report).ok());
  CHECK(h.CurrentView().slots_size() == 1);
  REQUIRE(h.Last(w2, Directive::kPrepareJob) != nullptr);
  CHECK(h.Last(w2, Directive::kPrepareJob)->prepare_job().plan().rounds() == 20);
}

TEST_CASE("A node that leaves gets no slots any more, and is let go") {
  Harness h;
  const uint64_t s = h.Join(NODE_ROLE_SERVER, "s"), w1 = h.Join(NODE_ROLE_WORKER, "w1");
  h.Start(s, w1);
  const uint64_t w2 = h.Join(NODE_ROLE_WORKER, "w2");
  h.Prepared(w2);
  NodeReport report;
  report.mutable_leaving();
  REQUIRE(h.Report(w1, report).ok());
  REQUIRE(h.CurrentView().slots_size() == 1);
  CHECK(h.CurrentView().slots(0).worker().node_id() == w2);
  CHECK(h.Last(w1, Directive::kReleased) != nullptr);
}

TEST_CASE("The same request gives the same job; jobs run one after the other") {
  Harness h;
  const uint64_t w = h.Join(NODE_ROLE_WORKER, "w");
  CHECK(h.Submit(Spec(), "a") == JobId(1));
  CHECK(h.Submit(Spec(), "a") == JobId(1));
  CHECK(h.Submit(Spec(), "b") == JobId(2));
  JobSpec other = Spec();
  other.mutable_optimizer()->set_learning_rate(0.2);
  CHECK(h.core().Submit(h.now(), Harness::Request(other, "a"), std::nullopt).status().code() ==
        absl::StatusCode::kAlreadyExists);
  CHECK(h.core().GetJob(JobId(2))->state() == JOB_STATE_QUEUED);
  REQUIRE(h.core().Cancel(h.now(), JobId(1)).ok());
  h.Take();
  CHECK(h.GetJob().state() == JOB_STATE_CANCELLED);
  CHECK(h.core().GetJob(JobId(2))->state() == JOB_STATE_PREPARING);
  CHECK(h.Last(w, Directive::kPrepareJob)->prepare_job().job() == 2);
  CHECK(h.core().Cancel(h.now(), JobId(9)).code() == absl::StatusCode::kNotFound);
}

TEST_CASE("A node that does not answer the offer of a job is sent it again, until it answers") {
  Harness h;
  const uint64_t s = h.Join(NODE_ROLE_SERVER, "s"), w = h.Join(NODE_ROLE_WORKER, "w");
  h.Submit();
  h.Clear();
  h.Pass(absl::Seconds(11), {s, w});
  REQUIRE(h.Last(w, Directive::kPrepareJob) != nullptr);
  CHECK(h.Last(w, Directive::kPrepareJob)->prepare_job().derive());
  h.Prepared(w, /*derived=*/true);
  h.Clear();
  h.Pass(absl::Seconds(11), {s, w});
  CHECK(h.Last(s, Directive::kPrepareJob) != nullptr);
  CHECK(h.Last(w, Directive::kPrepareJob) == nullptr);
}

TEST_CASE("A folder with another job's checkpoints is refused, but not to the job that wrote them") {
  Harness h;
  const absl::Status taken = absl::FailedPreconditionError("the folder holds checkpoints");
  CHECK(h.core().Submit(h.now(), Harness::Request(), std::nullopt, taken).status() == taken);
  h.Submit();
  CHECK(*h.core().Submit(h.now(), Harness::Request(), std::nullopt, taken) == JobId(1));
  SubmitJobRequest second = Harness::Request(Spec(), "second");
  second.set_checkpoint_dir(Harness::Request().checkpoint_dir());
  const absl::Status refused = h.core().Submit(h.now(), second, std::nullopt).status();
  CHECK(refused.code() == absl::StatusCode::kFailedPrecondition);
  CHECK_THAT(std::string(refused.message()), Catch::Matchers::Contains("job 1"));
  REQUIRE(h.core().Cancel(h.now(), JobId(1)).ok());
  CHECK(h.core().Submit(h.now(), second, std::nullopt).ok());
}

TEST_CASE("A stall is named with its slots and their worker") {
  Harness h;
  const uint64_t s = h.Join(NODE_ROLE_SERVER, "s"), w = h.Join(NODE_ROLE_WORKER, "w");
  h.Start(s, w);
  NodeReport report;
  ShardProgress& progress = *report.mutable_shard_progress();
  progress.set_job(1);
  progress.set_view(h.CurrentView().view());
  progress.set_version(3);
  MissingSlots& missing = *progress.add_missing();
  missing.set_slot_begin(1);
  missing.set_slot_end(2);
  REQUIRE(h.Report(s, report).ok());
  CHECK(h.core().GetStatus(h.now()).stalls_size() == 0);
  h.Pass(absl::Seconds(3), {s, w});
  const ClusterStatus status = h.core().GetStatus(h.now());
  REQUIRE(status.stalls_size() == 1);
  CHECK_THAT(status.stalls(0),
             Catch::Matchers::Contains("job 1, round 3: slots [0,4) of w, silent for 0.0 s"));
}

// ---- who a node is ----

JoinRequest Process(const std::string& name, uint64_t incarnation, NodeRole role = NODE_ROLE_WORKER) {
  JoinRequest request;
  request.set_protocol_version(kProtocolVersion);
  request.set_role(role);
  request.set_name(name);
  request.set_address("10.0.0.6:7071");
  request.set_machine("host");
  request.set_incarnation(incarnation);
  return request;
}

Hello HelloOf(const JoinRequest& request, const JoinResponse& response) {
  Hello hello;
  hello.set_node_id(response.node_id());
  *hello.mutable_join() = request;
  hello.mutable_join()->set_cluster_id(response.cluster_id());
  return hello;
}

TEST_CASE("A Hello of another cluster, role, name or process is refused, and ends nobody's session") {
  SchedulerOptions options;
  options.new_cluster_id = "here";
  SchedulerCore core(options);
  const absl::Time now = absl::FromUnixSeconds(1000);
  REQUIRE(core.Load(now, {}).ok());
  const JoinRequest request = Process("worker-1", 7);
  const auto joined = core.Join(now, request);
  REQUIRE(joined.ok());
  CHECK(joined->cluster_id() == "here");
  const Hello right = HelloOf(request, *joined);
  REQUIRE(core.SessionOpened(now, NodeId(right.node_id()), right).ok());
  core.TakeActions();
  Hello wrong = right;
  SECTION("cluster") { wrong.mutable_join()->set_cluster_id("there"); }
  SECTION("role") { wrong.mutable_join()->set_role(NODE_ROLE_SERVER); }
  SECTION("name") { wrong.mutable_join()->set_name("worker-2"); }
  SECTION("process") { wrong.mutable_join()->set_incarnation(8); }
  SECTION("id") { wrong.set_node_id(99); }
  CHECK(absl::IsFailedPrecondition(core.SessionOpened(now, NodeId(wrong.node_id()), wrong)));
  CHECK(core.TakeActions().empty());
  CHECK(core.Report(now, NodeId(right.node_id()),
                    [] {
                      NodeReport report;
                      report.mutable_heartbeat();
                      return report;
                    }())
            .ok());
}

TEST_CASE("A cluster keeps its id, and an empty store is another cluster") {
  const absl::Time now = absl::FromUnixSeconds(1000);
  SchedulerOptions options;
  options.new_cluster_id = "first";
  SchedulerCore core(options);
  REQUIRE(core.Load(now, {}).ok());
  std::vector<StoredRecord> records;
  for (const Action& action : core.TakeActions()) {
    if (const auto* persist = std::get_if<Persist>(&action)) records.push_back(persist->record);
  }
  options.new_cluster_id = "second";
  SchedulerCore again(options);
  REQUIRE(again.Load(now, records).ok());
  CHECK(again.GetStatus(now).cluster_id() == "first");
  SchedulerCore other(options);
  REQUIRE(other.Load(now, {}).ok());
  CHECK(other.GetStatus(now).cluster_id() == "second");
}

TEST_CASE("A training keeps its id; another cluster's, or one of an older store put back, has another") {
  const auto first_view = [](Harness* h) {
    const uint64_t server = h->Join(NODE_ROLE_SERVER, "server-1"), worker = h->Join(NODE_ROLE_WORKER, "w");
    h->Start(server, worker);
    return h->CurrentView().training_id();
  };
  SchedulerOptions options;
  options.new_cluster_id = "first";
  Harness h(options);
  const uint64_t id = first_view(&h);
  CHECK(id != 0);
  h.Restart();
  h.Prepared(h.Join(NODE_ROLE_WORKER, "w-2"));
  REQUIRE(h.CurrentView().view() == 2);
  CHECK(h.CurrentView().training_id() == id);
  Harness later(options);
  later.Sleep(absl::Milliseconds(1));
  CHECK(first_view(&later) != id);
  options.new_cluster_id = "second";
  Harness other(options);
  CHECK(first_view(&other) != id);
}

TEST_CASE(
    "A store that is put back and does not know the newest view begins another training from a checkpoint") {
  Harness h;
  const uint64_t s = h.Join(NODE_ROLE_SERVER, "s"), w = h.Join(NODE_ROLE_WORKER, "w");
  h.Start(s, w);
  const View before = h.CurrentView();
  const auto refuse = [&](uint64_t node, uint64_t training) {
    NodeReport report;
    report.mutable_job_refused()->set_job(1);
    report.mutable_job_refused()->set_reason("got view 1; here is view 7");
    report.mutable_job_refused()->set_outdated_training(training);
    REQUIRE(h.Report(node, report).ok());
  };
  refuse(s, before.training_id());
  CHECK(h.Said("the scheduler's store is an older copy"));
  h.Prepared(s);
  h.Pass(absl::Seconds(1), {s, w});
  const View next = h.CurrentView();
  CHECK(next.training_id() != before.training_id());
  CHECK(next.restore().restore_id() == before.restore().restore_id() + 1);
  NodeReport former;  // of a view with the same number, as another server may still hold it
  former.set_training_id(before.training_id());
  former.mutable_view_installed()->set_job(1);
  former.mutable_view_installed()->set_view(next.view());
  REQUIRE(h.Report(s, former).ok());
  refuse(w, before.training_id());  // has not heard of the new one yet
  h.Prepared(w);
  h.Pass(absl::Seconds(1), {s, w});
  CHECK(h.CurrentView().training_id() == next.training_id());
  h.Installed(s, h.CurrentView().view());
  CHECK(h.GetJob().state() == JOB_STATE_RUNNING);
}

TEST_CASE("Versions beyond the one that a verdict is due on show that a store is an older copy") {
  Harness h;
  const uint64_t s = h.Join(NODE_ROLE_SERVER, "s"), w = h.Join(NODE_ROLE_WORKER, "w");
  h.Start(s, w);
  const View before = h.CurrentView();
  h.Reached(s, 0, 11);  // evaluated every 10
  CHECK(h.Said("s has version 11, and should wait at 10"));
  h.Pass(absl::Seconds(1), {s, w});
  CHECK(h.CurrentView().training_id() != before.training_id());
  CHECK(h.CurrentView().restore().restore_id() == before.restore().restore_id() + 1);
}

TEST_CASE(
    "A process whose answer to Join was lost gets the same id again; one that had a session a new one") {
  Harness h;
  const JoinRequest request = Process("worker-1", 7);
  const auto first = h.core().Join(h.now(), request);
  const auto second = h.core().Join(h.now(), request);
  REQUIRE(second.ok());
  CHECK(second->node_id() == first->node_id());
  REQUIRE(h.core().SessionOpened(h.now(), NodeId(first->node_id()), HelloOf(request, *first)).ok());
  const auto third = h.core().Join(h.now(), request);
  REQUIRE(third.ok());
  CHECK(third->node_id() != first->node_id());
  CHECK(third->name() == "worker-1");
  h.Take();
  CHECK(h.ended_sessions() == std::vector<uint64_t>{first->node_id()});
}

TEST_CASE("The name of a living node is taken; it is free when that one's lease has ended") {
  Harness h;
  const uint64_t first = h.Join(NODE_ROLE_WORKER, "worker-1");
  const auto second = h.core().Join(h.now(), Process("worker-1", 8));
  CHECK(absl::IsAlreadyExists(second.status()));
  CHECK(second.status().message() == absl::StrCat("the name worker-1 is taken by node ", first,
                                                  " at worker-1:1, which is alive; choose another --name"));
  h.Break(first);
  h.Pass(absl::Seconds(1), {});
  CHECK(h.core().Join(h.now(), Process("worker-1", 8)).ok());
}

TEST_CASE("Nodes without a name all join, under names that tell them apart") {
  Harness h;
  const auto first = h.core().Join(h.now(), Process("", 1));
  const auto second = h.core().Join(h.now(), Process("", 2));
  const auto server = h.core().Join(h.now(), Process("", 3, NODE_ROLE_SERVER));
  REQUIRE((first.ok() && second.ok() && server.ok()));
  CHECK(first->name() == absl::StrCat("host-worker-", first->node_id()));
  CHECK(second->name() == absl::StrCat("host-worker-", second->node_id()));
  CHECK(server->name() == absl::StrCat("host-server-", server->node_id()));
}

TEST_CASE("A server whose address others can't use is refused, with what to do") {
  Harness h;
  JoinRequest request = Process("server-1", 1, NODE_ROLE_SERVER);
  for (const char* address : {"0.0.0.0:7071", "[::]:7071", ""}) {
    request.set_address(address);
    const absl::Status status = h.core().Join(h.now(), request).status();
    CHECK(absl::IsInvalidArgument(status));
    CHECK_THAT(std::string(status.message()), Catch::Matchers::Contains("--advertise"));
  }
}

TEST_CASE(
    "A worker without the data does not fail the job that another can read; nor do all of them at once") {
  Harness h;
  const uint64_t w1 = h.Join(NODE_ROLE_WORKER, "w1"), w2 = h.Join(NODE_ROLE_WORKER, "w2");
  h.Submit();
  h.Refused(w1, "data.tsv: not found");
  REQUIRE(h.Last(w2, Directive::kPrepareJob) != nullptr);
  SECTION("another has it") {
    h.Prepared(w2, true);
    h.Pass(absl::Seconds(60), {w1, w2});
    CHECK(h.GetJob().has_plan());
    CHECK(h.GetJob().state() == JOB_STATE_PREPARING);
  }
  SECTION("nobody has it") {
    h.Refused(w2, "data.tsv: not found");
    for (int second = 0; second < 9; ++second) {
      for (uint64_t node : {w1, w2}) {
        if (h.Last(node, Directive::kPrepareJob) != nullptr) h.Refused(node, "data.tsv: not found");
      }
      h.Clear();
      h.Pass(absl::Seconds(1), {w1, w2});
      CHECK(h.GetJob().state() == JOB_STATE_PREPARING);
    }
    h.Refused(w1, "data.tsv: not found");
    h.Refused(w2, "data.tsv: not found");
    h.Pass(absl::Seconds(2), {w1, w2});
    CHECK(h.GetJob().state() == JOB_STATE_FAILED);
    CHECK(
        h.GetJob().reason() ==
        "no worker can read the data; w1 can't take part: data.tsv: not found; w2 can't take part: data.tsv: "
        "not found");
  }
}

// ---- the data ----

TEST_CASE(
    "What one worker finds wrong in the data fails the job only when it is sure that others would too") {
  Harness h;
  const uint64_t w1 = h.Join(NODE_ROLE_WORKER, "w1"), w2 = h.Join(NODE_ROLE_WORKER, "w2");
  h.Submit();
  h.Refused(w1, "data.tsv: there is no column 'text'", /*fatal=*/true);
  CHECK(h.GetJob().state() == JOB_STATE_PREPARING);
  REQUIRE(h.Last(w2, Directive::kPrepareJob) != nullptr);
  SECTION("another machine says the same") {
    h.Refused(w2, "data.tsv: there is no column 'text'", /*fatal=*/true);
    CHECK(h.GetJob().state() == JOB_STATE_FAILED);
    CHECK(h.GetJob().reason() == "data.tsv: there is no column 'text'");
  }
  SECTION("another has a good copy") {
    h.Prepared(w2, /*derived=*/true);
    CHECK(h.GetJob().has_plan());
    h.Pass(absl::Seconds(60), {w1, w2});
    CHECK(h.GetJob().state() == JOB_STATE_PREPARING);
  }
  SECTION("nobody else has the data, after a while") {
    h.Refused(w2, "data.tsv: not found");
    for (int second = 0; second < 10; ++second) {
      CHECK(h.GetJob().state() == JOB_STATE_PREPARING);
      h.Pass(absl::Seconds(1), {w1, w2});
    }
    CHECK(h.GetJob().state() == JOB_STATE_FAILED);
    CHECK(h.GetJob().reason() == "data.tsv: there is no column 'text'");
  }
}

TEST_CASE("A copy of the data that most workers don't have is not what the job is trained on") {
  JobSpec spec = Spec();
  spec.mutable_cluster()->set_min_workers(1);
  Harness h;
  const uint64_t bad = h.Join(NODE_ROLE_WORKER, "bad"), w2 = h.Join(NODE_ROLE_WORKER, "w2"),
                 w3 = h.Join(NODE_ROLE_WORKER, "w3"), s = h.Join(NODE_ROLE_SERVER, "s");
  h.Submit(spec);
  JobPlan truncated = Plan();
  truncated.set_train_examples(50);
  h.Prepared(bad, /*derived=*/true, truncated);
  h.Prepared(s);
  h.Refused(w2, "data.tsv differs", /*fatal=*/false, /*differs=*/true);
  CHECK(h.GetJob().has_plan());  // one against one
  SECTION("most have another") {
    h.Clear();
    h.Refused(w3, "data.tsv differs", /*fatal=*/false, /*differs=*/true);
    CHECK_FALSE(h.GetJob().has_plan());
    CHECK(h.CurrentView().view() == 0);
    CHECK(h.Said("2 workers have other data than the plan was made of, 1 the same: w2 reads them anew"));
    CHECK(h.Last(s, Directive::kCloseJob) != nullptr);
    REQUIRE(h.Last(w2, Directive::kPrepareJob) != nullptr);
    CHECK(h.Last(w2, Directive::kPrepareJob)->prepare_job().derive());
    h.Prepared(s);  // came late, and is of the former plan
    h.Prepared(w2, /*derived=*/true);
    CHECK(h.GetJob().plan().train_examples() == Plan().train_examples());
    CHECK(h.GetJob().state() == JOB_STATE_PREPARING);
    h.Refused(bad, "data.tsv differs", /*fatal=*/false, /*differs=*/true);
    h.Prepared(w3);
    h.Prepared(s);
    CHECK(h.CurrentView().slots_size() == 2);
    CHECK(h.GetJob().interventions() == 1);
  }
  SECTION("one more has the same") {
    NodeReport report;
    report.mutable_job_prepared()->set_job(1);
    report.mutable_job_prepared()->set_has_data(true);
    REQUIRE(h.Report(w3, report).ok());
    CHECK(h.GetJob().state() == JOB_STATE_RUNNING);
    CHECK(h.GetJob().plan().train_examples() == 50);
  }
}

TEST_CASE("A store whose keys are damaged is an error, not an exception") {
  for (const char* table : {kStateTable, kEvaluationTable, kNodeTable, kJobTable}) {
    for (const char* key : {"", "zz", "0000000000000001x", "00000000000000000000000000000000001", "1"}) {
      SchedulerCore core{SchedulerOptions()};
      CHECK(absl::IsDataLoss(core.Load(absl::FromUnixSeconds(1), {{table, key, ""}})));
    }
  }
}

TEST_CASE("Lists, the status and events of states carry verdicts without their statistics") {
  Harness h;
  const uint64_t s = h.Join(NODE_ROLE_SERVER, "s"), w = h.Join(NODE_ROLE_WORKER, "w");
  h.Start(s, w);
  h.Reached(s, 0, 10);
  h.EvaluatedAll(w, EVALUATION_SET_VALIDATION, 10);
  REQUIRE(h.GetJob().evaluations_size() == 1);
  CHECK(h.GetJob().evaluations(0).has_statistics());
  for (const Job& job : {h.core().ListJobs().at(0), h.core().GetStatus(h.now()).jobs(0)}) {
    REQUIRE(job.evaluations_size() == 1);
    CHECK(job.evaluations(0).version() == 10);
    CHECK_FALSE(job.evaluations(0).has_statistics());
  }
}

TEST_CASE("A view that was never written can't be installed") {
  Harness h;
  const uint64_t s = h.Join(NODE_ROLE_SERVER, "s"), w = h.Join(NODE_ROLE_WORKER, "w");
  h.Submit();
  h.Prepared(w, /*derived=*/true);
  h.Prepared(s);
  h.Installed(s, ~uint64_t{0});
  CHECK(h.Last(w, Directive::kView) == nullptr);
  h.Installed(s, 1);
  CHECK(h.Last(w, Directive::kView) != nullptr);
}

TEST_CASE("Requests beyond any size are refused") {
  Harness h;
  SubmitJobRequest request = Harness::Request();
  request.set_checkpoint_dir(std::string(5000, 'x'));
  CHECK(absl::IsInvalidArgument(h.core().Submit(h.now(), request, std::nullopt).status()));
  request = Harness::Request();
  request.set_request_id(std::string("a\0b", 3));
  CHECK(absl::IsInvalidArgument(h.core().Submit(h.now(), request, std::nullopt).status()));
}

TEST_CASE("A damaged store is an error that names the record") {
  SchedulerCore core((SchedulerOptions()));
  const absl::Status status = core.Load(absl::UnixEpoch(), {{kJobTable, "0001", "\xff\xff"}});
  CHECK(status.code() == absl::StatusCode::kDataLoss);
  CHECK_THAT(std::string(status.message()), Catch::Matchers::Contains("0001"));
}

TEST_CASE("A plan with more parameters than there can be counts as a refusal") {
  Harness h;
  const uint64_t worker = h.Join(NODE_ROLE_WORKER, "w");
  h.Submit();
  NodeReport report;
  report.mutable_job_prepared()->set_job(1);
  *report.mutable_job_prepared()->mutable_plan() = Plan();
  report.mutable_job_prepared()->mutable_plan()->add_group_sizes(uint64_t{1} << 62);
  REQUIRE(h.Report(worker, report).ok());
  CHECK_FALSE(h.GetJob().has_plan());
  CHECK_THAT(h.GetJob().reason(), Catch::Matchers::Contains("too large"));
}

// ---- who may say what ----

// Two servers with a shard each, two workers with two slots each.
struct Pairs : Harness {
  Pairs() {
    Submit();
    for (uint64_t worker : {w1, w2}) Prepared(worker, /*derived=*/worker == w1);
    for (uint64_t server : {s1, s2}) Prepared(server);
    for (uint64_t server : {s1, s2}) Installed(server, 1);
    REQUIRE(CurrentView().shards(1).primary().node_id() == s2);
    REQUIRE(CurrentView().slots(1).worker().node_id() == w2);
    REQUIRE(CurrentView().slots(1).slot_begin() == 2);
  }
  // As of a slot that the worker has computed.
  void Failed(uint64_t worker, uint32_t slot) {
    NodeReport report;
    SlotFailed& failed = *report.mutable_slot_failed();
    failed.set_job(1);
    failed.set_restore_id(CurrentView().restore().restore_id());
    failed.set_slot(slot);
    REQUIRE(Report(worker, report).ok());
  }

  const uint64_t s1 = Join(NODE_ROLE_SERVER, "s1"), s2 = Join(NODE_ROLE_SERVER, "s2");
  const uint64_t w1 = Join(NODE_ROLE_WORKER, "w1"), w2 = Join(NODE_ROLE_WORKER, "w2");
};

TEST_CASE("What is said of a shard counts from its server alone") {
  Pairs h;
  for (uint64_t other : {h.s2, h.w1}) h.Rounds(other, 0, 10);
  h.Reached(h.s2, 1, 10);
  CHECK(h.GetJob().version() == 0);
  CHECK(h.StoredState().examples() == 0);
  h.Rounds(h.s1, 0, 10);
  CHECK(h.GetJob().version() == 10);
  for (uint64_t other : {h.s2, h.w1}) h.Written(other, 0, 5);
  h.Written(h.s2, 1, 5);
  CHECK(h.commits().empty());
  h.Written(h.s1, 0, 5);
  CHECK(h.commits().size() == 1);
}

TEST_CASE("That a view can't be installed counts from its servers alone") {
  Pairs h;
  const uint64_t spare = h.Join(NODE_ROLE_SERVER, "s3");
  for (uint64_t other : {h.w1, spare}) {
    h.Installed(other, 1, "Input/output error");
    h.Installed(other, 1, "checksum", /*damaged=*/true);
  }
  h.Pass(absl::Seconds(1), {h.s1, h.s2, h.w1, h.w2, spare});
  CHECK(h.CurrentView().view() == 1);
  CHECK(h.checks().empty());
  h.Installed(h.s1, 1, "Input/output error");
  CHECK(h.CurrentView().restore().restore_id() == 2);
}

TEST_CASE("What is said of a slot counts from its worker, and who has had it since the restore point") {
  Pairs h;
  h.Rounds(h.s1, 0, 10);
  h.Reached(h.s2, 1, 10);
  for (uint64_t other : {h.s1, h.w1}) h.EvaluatedAll(other, EVALUATION_SET_VALIDATION, 10);
  CHECK(h.GetJob().evaluations().empty());
  h.Failed(h.w1, 3);
  CHECK(h.GetJob().state() == JOB_STATE_RUNNING);
  SECTION("its worker") { h.Evaluated(h.w2, EVALUATION_SET_VALIDATION, 10, 2); }
  SECTION("who has had it") {
    h.Prepared(h.Join(NODE_ROLE_WORKER, "w3"));
    REQUIRE(h.CurrentView().slots(2).slot_begin() <= 3);
    h.Evaluated(h.w2, EVALUATION_SET_VALIDATION, 10, 2);
  }
  h.Evaluated(h.w2, EVALUATION_SET_VALIDATION, 10, 3);
  CHECK(h.GetJob().evaluations_size() == 1);
  h.Failed(h.w2, 3);
  CHECK(h.GetJob().state() == JOB_STATE_FAILED);
}

TEST_CASE("Progress beyond the end of the training is dropped") {
  Harness h;
  const uint64_t server = h.Join(NODE_ROLE_SERVER, "s"), worker = h.Join(NODE_ROLE_WORKER, "w");
  h.Start(server, worker);
  h.Reached(server, 0, 21);
  CHECK(h.GetJob().version() == 0);
  CHECK(h.GetJob().view().restore().restore_id() == 1);
  h.Reached(server, 0, 10);
  CHECK(h.GetJob().version() == 10);
}

TEST_CASE("A record of the store whose key names no job is an error that names the record") {
  for (const char* table : {kStateTable, kEvaluationTable}) {
    for (const char* key : {"", "job", "123456789012345678901234"}) {
      SchedulerCore core((SchedulerOptions()));
      const absl::Status status = core.Load(absl::UnixEpoch(), {{table, key, ""}});
      CHECK(status.code() == absl::StatusCode::kDataLoss);
      CHECK_THAT(std::string(status.message()), Catch::Matchers::Contains(table));
    }
  }
}

// ---- artifacts ----

JobPlan PlanWithArtifacts(const std::string& of) {
  JobPlan plan = Plan();
  for (const char* name : {"dataset", "tokenizer"}) {
    Artifact& artifact = *plan.add_artifacts();
    artifact.set_name(name);
    artifact.set_sha256(of + name);
  }
  return plan;
}

TEST_CASE("Artifacts that no job needs are deleted when the next one's turn comes; a tokenizer is exported") {
  Harness h;
  const uint64_t w = h.Join(NODE_ROLE_WORKER, "w");
  h.Submit();
  CHECK(h.kept_artifacts().empty());
  h.Prepared(w, /*derived=*/true, PlanWithArtifacts("a-"));
  h.Submit(Spec(), "second");
  h.Restart();
  CHECK(h.kept_artifacts() == std::set<std::string>{"a-dataset", "a-tokenizer"});
  REQUIRE(h.core().Cancel(h.now(), JobId(1)).ok());
  h.Take();
  CHECK(h.kept_artifacts() == std::set<std::string>{"a-tokenizer"});
}

TEST_CASE(
    "A restarted scheduler deletes nothing of what a worker brings for a plan that it does not know yet") {
  Harness h;
  h.Join(NODE_ROLE_WORKER, "w");
  h.Submit();
  std::vector<Action> actions;
  h.Restart();
  CHECK(h.kept_artifacts().empty());
  bool deleted = false;
  h.core().Tick(h.now());
  for (const Action& action : h.core().TakeActions())
    deleted |= std::holds_alternative<KeepArtifacts>(action);
  CHECK_FALSE(deleted);
}

TEST_CASE("An artifact that is lost is derived again, by a worker without slots if there is one") {
  Harness h;
  const uint64_t s = h.Join(NODE_ROLE_SERVER, "s"), busy = h.Join(NODE_ROLE_WORKER, "busy");
  const JobPlan plan = PlanWithArtifacts("a-");
  h.Submit();
  h.Prepared(busy, /*derived=*/true, plan);
  h.Prepared(s);
  h.Installed(s, 1);
  const uint64_t idle = h.Join(NODE_ROLE_WORKER, "idle");
  h.Refused(idle, "fetching artifact dataset: there is no artifact a-dataset");
  h.Clear();
  h.core().ArtifactLost(h.now(), "another job's");
  h.core().ArtifactLost(h.now(), "a-dataset");
  h.Take();
  h.Pass(absl::Seconds(2), {s, busy, idle});
  CHECK(h.Last(busy, Directive::kPrepareJob) == nullptr);
  REQUIRE(h.Last(idle, Directive::kPrepareJob) != nullptr);
  CHECK(h.Last(idle, Directive::kPrepareJob)->prepare_job().derive());
  CHECK(h.Last(idle, Directive::kPrepareJob)->prepare_job().derivation() == 1);
  SECTION("it has the data") {
    h.Clear();
    h.Prepared(idle, /*derived=*/true, plan);
    CHECK(h.CurrentView().slots_size() == 2);
    h.Pass(absl::Seconds(20), {s, busy, idle});
    CHECK(h.Last(busy, Directive::kPrepareJob) == nullptr);
  }
  SECTION("it lacks the data, or has other") {
    if (GENERATE(true, false)) {
      h.Refused(idle, "data.tsv: No such file");
    } else {
      h.Prepared(idle, /*derived=*/true, PlanWithArtifacts("b-"));
    }
    h.Pass(absl::Milliseconds(300), {s, busy, idle});
    REQUIRE(h.Last(busy, Directive::kPrepareJob) != nullptr);
    CHECK(h.Last(busy, Directive::kPrepareJob)->prepare_job().derive());
    h.Clear();
    h.Prepared(busy, /*derived=*/true, plan);
    CHECK(h.GetJob().state() == JOB_STATE_RUNNING);
    CHECK(h.Last(busy, Directive::kView) != nullptr);  // to prepare it has dropped the job
    h.Clear();
    h.Pass(absl::Seconds(20), {s, busy, idle});
    REQUIRE(h.Last(idle, Directive::kPrepareJob) != nullptr);
    CHECK_FALSE(h.Last(idle, Directive::kPrepareJob)->prepare_job().derive());
  }
}

}  // namespace
}  // namespace shoal::scheduler
