// Which views go to which nodes, what causes a new one, and whose reports on a view count.
#include "catch2/catch.hpp"
#include "scheduler/core_harness.h"

namespace shoal::scheduler {
namespace {

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
  // Reports the failure of a slot that the worker has computed.
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
  // Reports from before the job went back no longer count.
  h.Clear();
  h.Installed(s2, 2);
  CHECK(h.Last(w, Directive::kView)->view().restore().version() == 5);
}

TEST_CASE(
    "A server that is told a view of a job that it does not have is offered the job, and then the view") {
  Harness h;
  const uint64_t s = h.Join(NODE_ROLE_SERVER, "s"), w = h.Join(NODE_ROLE_WORKER, "w");
  h.Submit();
  h.Prepared(w, /*derived=*/true);
  h.Prepared(s);
  REQUIRE(h.CurrentView().view() == 1);
  const bool has_had_it = GENERATE(false, true);
  if (has_had_it) {
    h.Installed(s, 1);
    h.Reached(s, 0, 3);
  }
  h.Clear();
  h.Refused(s, "job 1 does not run on this server");
  REQUIRE(h.Open(s).ok());  // before it is offered the job again
  CHECK(h.Last(s, Directive::kView) == nullptr);
  h.Pass(absl::Seconds(2), {s, w});
  REQUIRE(h.Last(s, Directive::kPrepareJob) != nullptr);
  CHECK(h.Last(s, Directive::kView) == nullptr);
  h.Prepared(s);
  REQUIRE(h.Last(s, Directive::kView) != nullptr);
  // Its state is gone.
  CHECK(h.Last(s, Directive::kView)->view().restore().restore_id() == 2);
  h.Installed(s, h.CurrentView().view());
  CHECK(h.Last(w, Directive::kView)->view().view() == h.CurrentView().view());
  CHECK(h.GetJob().state() == JOB_STATE_RUNNING);
}

TEST_CASE("A training keeps its id; one of another cluster, or after a lost store, has another") {
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
    report.mutable_job_refused()->set_reason("got view 1; this node has view 7");
    report.mutable_job_refused()->set_outdated_training(training);
    REQUIRE(h.Report(node, report).ok());
  };
  refuse(s, before.training_id());
  CHECK(h.Said("the scheduler's store is an older copy"));
  h.Prepared(s);
  h.Prepared(w);
  const View next = h.CurrentView();
  CHECK(next.training_id() != before.training_id());
  CHECK(next.restore().restore_id() == before.restore().restore_id() + 1);
  NodeReport former;  // of a view with the same number, as another server may still hold it
  former.mutable_view_installed()->set_job(1);
  former.mutable_view_installed()->set_view(next.view());
  former.set_training_id(before.training_id());
  REQUIRE(h.Report(s, former).ok());
  refuse(w, before.training_id());  // it does not know the new one yet
  h.Prepared(w);
  // Repeated by a server that counts as one that has prepared, and holds shards.
  h.Pass(absl::Seconds(1), {s, w});
  refuse(s, before.training_id());
  CHECK(h.CurrentView().restore().restore_id() == next.restore().restore_id());
  h.Pass(absl::Seconds(1), {s, w});
  CHECK(h.CurrentView().training_id() == next.training_id());
  h.Installed(s, h.CurrentView().view());
  CHECK(h.GetJob().state() == JOB_STATE_RUNNING);
}

TEST_CASE("After an older store was put back the next view waits for the nodes, as the first one did") {
  Harness h;
  std::vector<uint64_t> servers;
  for (const char* name : {"s1", "s2"}) servers.push_back(h.Join(NODE_ROLE_SERVER, name));
  const uint64_t w = h.Join(NODE_ROLE_WORKER, "w");
  JobSpec spec = Spec();
  spec.mutable_cluster()->set_min_servers(2);
  h.Submit(spec);
  h.Prepared(w, /*derived=*/true);
  for (uint64_t server : servers) h.Prepared(server);
  REQUIRE(h.CurrentView().shards_size() == 2);
  const uint64_t view = h.CurrentView().view();
  h.Restart();
  for (uint64_t node : servers) REQUIRE(h.Open(node).ok());
  REQUIRE(h.Open(w).ok());
  h.Clear();
  h.Installed(servers[0], view + 5);  // which this store never had
  CHECK(h.Said("s1 has view"));
  for (uint64_t server : servers) CHECK(h.Last(server, Directive::kCloseJob) != nullptr);
  h.Prepared(servers[0]);
  h.Prepared(w);
  CHECK(h.CurrentView().view() == view);
  h.Prepared(servers[1]);
  CHECK(h.CurrentView().view() == view + 1);
  CHECK(h.CurrentView().shards_size() == 2);
}

TEST_CASE("Checkpoints that servers tell an older store of are not this training's") {
  Harness h;
  const uint64_t s = h.Join(NODE_ROLE_SERVER, "s"), w = h.Join(NODE_ROLE_WORKER, "w");
  h.Start(s, w);
  h.Rounds(s, 0, 5);
  h.Written(s, 0, 5);
  h.CommitLast();
  h.Written(s, 0, 8);  // of rounds whose statistics never came
  h.CommitLast();
  h.Written(s, 0, 9);
  h.Installed(s, 7);
  CHECK(h.GetJob().checkpoints_size() == 1);
  h.CommitLast();  // it was in progress
  CHECK(h.GetJob().checkpoints_size() == 1);
  h.Prepared(s);
  h.Prepared(w);
  CHECK(h.CurrentView().restore().version() == 5);
  h.Installed(s, h.CurrentView().view());
  h.Rounds(s, 5, 9);
  h.Written(s, 0, 8);
  h.CommitLast();
  CHECK(h.GetJob().checkpoints_size() == 2);
}

TEST_CASE("A worker that is prepared is told the view, also when it was told before it had the job again") {
  Harness h;
  const uint64_t s = h.Join(NODE_ROLE_SERVER, "s"), w = h.Join(NODE_ROLE_WORKER, "w");
  h.Start(s, w);
  h.Installed(s, 1);
  h.Restart();
  REQUIRE(h.Open(s).ok());
  REQUIRE(h.Open(w).ok());
  h.Installed(s, 1);  // so the worker, considered prepared, is told
  REQUIRE(h.Last(w, Directive::kView) != nullptr);
  h.Clear();
  h.Prepared(w);
  CHECK(h.Last(w, Directive::kView) != nullptr);
}

TEST_CASE("Versions beyond the one that a verdict is due on show that a store is an older copy") {
  Harness h;
  const uint64_t s = h.Join(NODE_ROLE_SERVER, "s"), w = h.Join(NODE_ROLE_WORKER, "w");
  h.Start(s, w);
  const View before = h.CurrentView();
  h.Reached(s, 0, 11);  // evaluated every 10
  CHECK(h.Said("s has version 11, but should wait at 10"));
  h.Prepared(s);
  h.Prepared(w);
  CHECK(h.CurrentView().training_id() != before.training_id());
  CHECK(h.CurrentView().restore().restore_id() == before.restore().restore_id() + 1);
}

TEST_CASE("A view that was never written can't be installed") {
  Harness h;
  const uint64_t s = h.Join(NODE_ROLE_SERVER, "s"), w = h.Join(NODE_ROLE_WORKER, "w");
  h.Submit();
  h.Prepared(w, /*derived=*/true);
  h.Prepared(s);
  const uint64_t training = h.CurrentView().training_id();
  h.Installed(s, ~uint64_t{0});
  CHECK(h.Last(w, Directive::kView) == nullptr);
  h.Prepared(w);
  h.Prepared(s);
  CHECK(h.CurrentView().training_id() != training);
  h.Installed(s, h.CurrentView().view());
  CHECK(h.Last(w, Directive::kView) != nullptr);
}

TEST_CASE("For a shard, only its server's reports count") {
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

TEST_CASE("Reports that a view can't be installed count only from its servers") {
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

TEST_CASE("Reports on a slot count from its worker and from one that has had it since the restore point") {
  Pairs h;
  h.Rounds(h.s1, 0, 10);
  h.Reached(h.s2, 1, 10);
  for (uint64_t other : {h.s1, h.w1}) h.EvaluatedAll(other, EVALUATION_SET_VALIDATION, 10);
  CHECK(h.GetJob().evaluations().empty());
  h.Failed(h.w1, 3);
  CHECK(h.GetJob().state() == JOB_STATE_RUNNING);
  SECTION("its worker") { h.Evaluated(h.w2, EVALUATION_SET_VALIDATION, 10, 2); }
  SECTION("a worker that has had it") {
    h.Prepared(h.Join(NODE_ROLE_WORKER, "w3"));
    REQUIRE(h.CurrentView().slots(2).slot_begin() <= 3);
    h.Evaluated(h.w2, EVALUATION_SET_VALIDATION, 10, 2);
  }
  h.Evaluated(h.w2, EVALUATION_SET_VALIDATION, 10, 3);
  CHECK(h.GetJob().evaluations_size() == 1);
  h.Failed(h.w2, 3);
  CHECK(h.GetJob().state() == JOB_STATE_FAILED);
}

}  // namespace
}  // namespace shoal::scheduler
