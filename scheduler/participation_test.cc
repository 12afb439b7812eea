// Which node reads the data and which take part, when nodes refuse, fail or have different data.
#include <algorithm>
#include <map>

#include "catch2/catch.hpp"
#include "scheduler/core_harness.h"

namespace shoal::scheduler {
namespace {

using Catch::Matchers::Contains;

TEST_CASE("When the worker that reads the data dies, another one does") {
  Harness h;
  const uint64_t w1 = h.Join(NODE_ROLE_WORKER, "w1"), w2 = h.Join(NODE_ROLE_WORKER, "w2");
  h.Submit();
  REQUIRE(h.Last(w1, Directive::kPrepareJob) != nullptr);
  CHECK(h.Last(w1, Directive::kPrepareJob)->prepare_job().derive());
  h.Break(w1);
  h.Pass(absl::Seconds(1), {w2});
  REQUIRE(h.Last(w2, Directive::kPrepareJob) != nullptr);
  CHECK(h.Last(w2, Directive::kPrepareJob)->prepare_job().derive());
}

TEST_CASE("When all workers refuse to read the data, the job fails with the reason") {
  Harness h;
  const uint64_t w2 = h.Join(NODE_ROLE_WORKER, "w2");
  h.Submit();
  int attempts = 0;
  for (; h.GetJob().state() == JOB_STATE_PREPARING; ++attempts) {
    REQUIRE(attempts < 10);
    REQUIRE(h.Last(w2, Directive::kPrepareJob) != nullptr);
    h.Clear();
    h.Refused(w2, "no memory");
    h.Pass(absl::Seconds(8), {w2});
  }
  CHECK(attempts == 4);  // 10 s after the third one it fails
  CHECK(h.GetJob().state() == JOB_STATE_FAILED);
  CHECK(h.GetJob().reason() == "no worker can prepare the job; w2 can't take part: no memory");
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

TEST_CASE("A worker that has refused a job is asked again, less and less often, until it can take part") {
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
    if (h.GetJob().state() != JOB_STATE_RUNNING) continue;
    REQUIRE(h.Last(w, Directive::kPrepareJob) != nullptr);
    h.Prepared(w);
    CHECK(h.CurrentView().view() == view + 1);
    h.Installed(s, view + 1);
    CHECK(h.Last(w, Directive::kView) != nullptr);
  }
  CHECK(failures == 4);  // after 1, 2 and 4 s; 10 s after the third one it fails
  CHECK(h.GetJob().state() == JOB_STATE_FAILED);
  CHECK(h.GetJob().reason() == "no worker can do the work; w failed 4 times in a row: slot 2: no memory");
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
  h.Reached(s, 0, 5);  // which the previous view may have completed
  fails(absl::Seconds(32));
  for (uint64_t version : {6, 7, 8}) h.Reached(s, 0, version);
  fails(absl::Seconds(1));
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

TEST_CASE("A node that does not answer a job offer is sent it again until it answers") {
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

TEST_CASE("A worker without the data does not fail a job that another can read, nor do all of them at once") {
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
    int seconds = 0;
    for (; h.GetJob().state() == JOB_STATE_PREPARING; ++seconds) {
      REQUIRE(seconds < 30);
      for (uint64_t node : {w1, w2}) {
        if (h.Last(node, Directive::kPrepareJob) != nullptr) h.Refused(node, "data.tsv: not found");
      }
      h.Clear();
      h.Pass(absl::Seconds(1), {w1, w2});
    }
    CHECK(seconds > 10);
    CHECK(h.GetJob().state() == JOB_STATE_FAILED);
    CHECK(h.GetJob().reason() ==
          "no worker can prepare the job; w1 can't take part: data.tsv: not found; w2 can't take part: "
          "data.tsv: "
          "not found");
  }
}

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
    CHECK(h.Said(
        "2 workers have different data than the plan was made from, 1 the same: w2 reads the data again"));
    CHECK(h.Last(s, Directive::kCloseJob) != nullptr);
    REQUIRE(h.Last(w2, Directive::kPrepareJob) != nullptr);
    CHECK(h.Last(w2, Directive::kPrepareJob)->prepare_job().derive());
    h.Prepared(s);  // came late, and is for the previous plan
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

TEST_CASE("A plan with an impossible number of parameters counts as a refusal") {
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

TEST_CASE("The first view does not wait for a node that is leaving, though it was offered the job") {
  Harness h;
  const uint64_t s = h.Join(NODE_ROLE_SERVER, "s"), w1 = h.Join(NODE_ROLE_WORKER, "w1"),
                 w2 = h.Join(NODE_ROLE_WORKER, "w2");
  h.Submit();
  h.Prepared(w1, /*derived=*/true);
  h.Prepared(s);
  REQUIRE(h.Last(w2, Directive::kPrepareJob) != nullptr);
  CHECK(h.CurrentView().view() == 0);
  h.Leave(w2);
  CHECK(h.CurrentView().view() == 1);
}

TEST_CASE("A data error of one worker does not fail a job when the one that reads the data blips") {
  Harness h;
  const uint64_t bad = h.Join(NODE_ROLE_WORKER, "bad");
  h.Submit();
  const auto refuse = [&] {
    if (h.Last(bad, Directive::kPrepareJob) == nullptr) return;
    h.Clear();
    h.Refused(bad, "line 7: expected 2 columns", /*fatal=*/true);
  };
  refuse();
  const uint64_t good = h.Join(NODE_ROLE_WORKER, "good");
  for (int i = 0; i < 120; ++i) {
    h.Pass(absl::Milliseconds(500), {bad, good});
    refuse();
  }
  h.Break(good);
  h.Pass(absl::Seconds(1), {bad});
  CHECK(h.GetJob().state() == JOB_STATE_PREPARING);
}

TEST_CASE("Rounds that are recomputed again and again don't forgive the failure that follows them") {
  Harness h;
  uint64_t server = h.Join(NODE_ROLE_SERVER, "s");
  const uint64_t worker = h.Join(NODE_ROLE_WORKER, "w");
  h.Start(server, worker);
  int loops = 0;
  for (; loops < 50 && h.GetJob().state() == JOB_STATE_RUNNING; ++loops) {
    h.Rounds(server, 0, 3);
    h.Refused(worker, "no memory");
    h.Break(server);  // on the same machine; there is no checkpoint
    h.Pass(absl::Seconds(4), {worker});
    server = h.Join(NODE_ROLE_SERVER, "s");
    h.Prepared(server);
    for (int i = 0; i < 130 && h.GetJob().state() == JOB_STATE_RUNNING; ++i) {
      if (h.Last(worker, Directive::kPrepareJob) != nullptr) break;
      h.Pass(absl::Seconds(1), {worker, server});
    }
    h.Clear();
    h.Prepared(worker);
    h.Pass(absl::Seconds(1), {worker, server});
    h.Installed(server, h.CurrentView().view());
  }
  CHECK(h.GetJob().state() == JOB_STATE_FAILED);
  CHECK(loops < 10);
}

TEST_CASE("A data error is told although another worker crashes again and again before it can answer") {
  Harness h;
  const uint64_t bad = h.Join(NODE_ROLE_WORKER, "bad");
  h.Submit();
  h.Refused(bad, "line 7: expected 2 columns", /*fatal=*/true);
  int crashes = 0;
  for (; h.GetJob().state() == JOB_STATE_PREPARING; ++crashes) {
    REQUIRE(crashes < 20);
    const uint64_t other = h.Join(NODE_ROLE_WORKER, "other-" + std::to_string(crashes));
    h.Pass(absl::Seconds(20), {bad, other});
    h.Break(other);
    h.Pass(absl::Milliseconds(2500), {bad});
  }
  CHECK(h.GetJob().reason() == "line 7: expected 2 columns");
}

TEST_CASE("A worker that has refused to read the data, and then hangs at it, is given up") {
  Harness h;
  const uint64_t worker = h.Join(NODE_ROLE_WORKER, "w");
  h.Submit();
  for (int i = 0; i < 3; ++i) {
    h.Refused(worker, "no such file");
    h.Pass(absl::Seconds(1 << i) + absl::Milliseconds(300), {worker});
  }
  const absl::Time begin = h.now();
  while (h.GetJob().state() == JOB_STATE_PREPARING && h.now() - begin < absl::Hours(1)) {
    REQUIRE(h.Report(worker, Beat(ACTIVITY_DERIVE, absl::ToDoubleSeconds(h.now() - begin))).ok());
    h.Pass(absl::Milliseconds(500), {}, absl::Milliseconds(500));
  }
  CHECK(h.GetJob().state() == JOB_STATE_FAILED);
  CHECK_THAT(h.GetJob().reason(), Contains("no worker can prepare the job; w can't take part: no such file"));
}

}  // namespace
}  // namespace shoal::scheduler
