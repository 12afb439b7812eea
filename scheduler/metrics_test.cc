// The history of metrics, and the time that counts as training.
#include <string>

#include "catch2/catch.hpp"
#include "common/protocol/contribution_stats.h"
#include "scheduler/core_harness.h"

namespace shoal::scheduler {
namespace {

TEST_CASE("The time that a job was paused is not training time") {
  JobSpec spec = Spec();
  spec.mutable_evaluation()->mutable_every()->set_never(true);
  spec.mutable_evaluation()->set_keep_best(false);
  spec.mutable_log_every()->set_rounds(5);
  Harness h;
  const uint64_t s = h.Join(NODE_ROLE_SERVER, "s"), w = h.Join(NODE_ROLE_WORKER, "w");
  h.Start({s}, {w}, spec);
  h.Pass(absl::Seconds(4), {s, w});
  h.Rounds(s, 0, 5);  // a record: what was counted is stored
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

TEST_CASE("Statistics of rounds that the training does not have are dropped") {
  Harness h;
  uint64_t w;
  const uint64_t s = StartPlain(&h, &w);
  h.Rounds(s, 0, 5);
  NodeReport report;
  ShardProgress& progress = *report.mutable_shard_progress();
  progress.set_job(1);
  progress.set_view(h.CurrentView().view());
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
  h.Rounds(s, kRestart - kRoundStatisticsKept, kRestart);  // what the server still keeps
  for (uint64_t round = kRestart; round < kEnd; round += kReport) h.Rounds(s, round, round + kReport);
  h.EvaluatedAll(w, EVALUATION_SET_TEST, kEnd);
  h.Written(s, 0, kEnd);
  h.CommitLast();
  h.Computed("abc");
  REQUIRE(h.GetJob().state() == JOB_STATE_COMPLETED);
  CHECK(h.GetJob().result().examples() == 10 * kEnd);
}

TEST_CASE("Metrics that servers have forgotten while the scheduler was away are reported as lost") {
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
