// Jobs whose nodes are alive but make no progress: how the scheduler interprets activities, unreachable
// peers, and unexplained stalls.
#include <map>
#include <string>
#include <vector>

#include "catch2/catch.hpp"
#include "scheduler/core_harness.h"

namespace shoal::scheduler {
namespace {

using Catch::Matchers::Contains;

TEST_CASE("A worker that is alive but computes nothing loses its slots, and it is counted") {
  Harness h;
  const uint64_t s = h.Join(NODE_ROLE_SERVER, "s"), w1 = h.Join(NODE_ROLE_WORKER, "w1"),
                 w2 = h.Join(NODE_ROLE_WORKER, "w2");
  h.Start({s}, {w1, w2});
  REQUIRE(h.CurrentView().slots_size() == 2);
  Hang(&h, w1, ACTIVITY_COMPUTE);
  h.Pass(absl::Milliseconds(100), {s, w2});
  REQUIRE(h.CurrentView().slots_size() == 1);
  CHECK(h.CurrentView().slots(0).worker().node_id() == w2);
  CHECK(h.GetJob().interventions() == 1);
  REQUIRE(h.Report(w1, Beat(ACTIVITY_COMPUTE, 0)).ok());
  h.Pass(absl::Seconds(5), {s, w1, w2});
  CHECK(h.CurrentView().slots_size() == 2);
}

TEST_CASE("Work is not taken from a node when nobody else can do it: the stall says so") {
  Harness h;
  const uint64_t s = h.Join(NODE_ROLE_SERVER, "s"), w = h.Join(NODE_ROLE_WORKER, "w");
  h.Start(s, w);
  Hang(&h, w, ACTIVITY_COMPUTE);
  h.Pass(absl::Milliseconds(100), {s});
  CHECK(h.CurrentView().view() == 1);
  CHECK(h.GetJob().interventions() == 0);
  CHECK(h.GetJob().reason() == "w makes no progress, and nobody else can do its work");
}

TEST_CASE("A worker that hangs while it reads the data is replaced by another") {
  Harness h;
  const uint64_t w1 = h.Join(NODE_ROLE_WORKER, "w1"), w2 = h.Join(NODE_ROLE_WORKER, "w2");
  h.Submit();
  REQUIRE(h.Last(w1, Directive::kPrepareJob) != nullptr);
  Hang(&h, w1, ACTIVITY_DERIVE);
  h.Pass(absl::Milliseconds(100), {w2});
  REQUIRE(h.Last(w2, Directive::kPrepareJob) != nullptr);
  CHECK(h.Last(w2, Directive::kPrepareJob)->prepare_job().derive());
  CHECK(h.GetJob().interventions() == 1);
  h.Prepared(w1, true);  // its plan arrives after all, and is the same
  CHECK(h.GetJob().has_plan());
}

TEST_CASE("A server that hangs in a restore, an update or a write is left out of a new restore point") {
  const ActivityKind kind = GENERATE(ACTIVITY_RESTORE, ACTIVITY_UPDATE, ACTIVITY_WRITE_CHECKPOINT);
  Harness h;
  const uint64_t s1 = h.Join(NODE_ROLE_SERVER, "s1"), s2 = h.Join(NODE_ROLE_SERVER, "s2"),
                 w = h.Join(NODE_ROLE_WORKER, "w");
  h.Submit();
  h.Prepared(w, true);
  h.Prepared(s1);
  h.Prepared(s2);
  REQUIRE(h.CurrentView().shards_size() == 2);
  Hang(&h, s1, kind);
  h.Pass(absl::Milliseconds(100), {s2, w});
  REQUIRE(h.CurrentView().shards_size() == 1);
  CHECK(h.CurrentView().shards(0).primary().node_id() == s2);
  CHECK(h.CurrentView().restore().restore_id() == 2);
  CHECK(h.GetJob().interventions() == 1);
}

TEST_CASE("A pair of nodes that can't reach each other stops no job as long as others can") {
  Harness h;
  const uint64_t s1 = h.Join(NODE_ROLE_SERVER, "s1"), s2 = h.Join(NODE_ROLE_SERVER, "s2"),
                 w1 = h.Join(NODE_ROLE_WORKER, "w1"), w2 = h.Join(NODE_ROLE_WORKER, "w2");
  h.Start({s1, s2}, {w1, w2});
  SECTION("one worker") {
    PassWith(&h, absl::Milliseconds(200), {s1, s2, w2}, {{w1, CantReach(s1)}});
    REQUIRE(h.CurrentView().slots_size() == 1);
    CHECK(h.CurrentView().slots(0).worker().node_id() == w2);
    CHECK(h.CurrentView().restore().restore_id() == 1);
  }
  SECTION("every worker") {
    PassWith(&h, absl::Milliseconds(200), {s1, s2}, {{w1, CantReach(s1)}, {w2, CantReach(s1)}});
    REQUIRE(h.CurrentView().shards_size() == 1);
    CHECK(h.CurrentView().shards(0).primary().node_id() == s2);
    CHECK(h.CurrentView().slots_size() == 2);
  }
  CHECK(h.GetJob().interventions() == 1);
}

TEST_CASE(
    "For a server that nobody can reach, the status says within seconds who can't reach it, where and why") {
  Harness h;
  const uint64_t s = h.Join(NODE_ROLE_SERVER, "server-1"), w = h.Join(NODE_ROLE_WORKER, "worker-1");
  h.Start(s, w);
  PassWith(&h, absl::Milliseconds(200), {s}, {{w, CantReach(s)}});
  const std::string text = "worker-1 can't reach server-1 at server-1:1: connection refused";
  CHECK(h.GetJob().reason() == text);
  CHECK(h.Said(text));  // in the job's history, and so in the log
  CHECK(h.CurrentView().view() == 1);
  const ClusterStatus status = h.core().GetStatus(h.now());
  REQUIRE(status.stalls_size() == 1);
  CHECK_THAT(status.stalls(0), Catch::Matchers::Contains(text));
  CHECK(status.nodes(1).unreachable_size() == 1);
  h.Pass(absl::Seconds(5), {s, w});
  CHECK(h.GetJob().reason() == "");
}

// ---- unexplained stalls ----

// Opens sessions, in which the nodes are told what they missed.
void OpenAll(Harness* h, const std::vector<uint64_t>& nodes) {
  for (uint64_t node : nodes) REQUIRE(h->Open(node).ok());
}

// The shard's server reports that its lowest block lacks the slots [begin, end).
void Missing(Harness* h, uint64_t server, uint32_t shard, uint64_t version, uint32_t begin, uint32_t end) {
  NodeReport report;
  ShardProgress& progress = *report.mutable_shard_progress();
  progress.set_job(1);
  progress.set_view(h->CurrentView().view());
  progress.set_shard(shard);
  progress.set_version(version);
  MissingSlots& missing = *progress.add_missing();
  missing.set_slot_begin(begin);
  missing.set_slot_end(end);
  REQUIRE(h->Report(server, report).ok());
}

// Passes time until the scheduler has ended sessions and these nodes have opened new ones. Returns how long
// it took.
absl::Duration PassUntilRenewed(Harness* h, const std::vector<uint64_t>& nodes) {
  const absl::Time start = h->now();
  const size_t before = h->ended_sessions().size();
  while (h->ended_sessions().size() == before && h->GetJob().state() != JOB_STATE_FAILED) {
    INFO(h->core().GetStatus(h->now()).ShortDebugString());
    REQUIRE(h->now() - start < absl::Hours(1));
    h->Pass(absl::Seconds(1), nodes, absl::Milliseconds(500));
  }
  if (h->GetJob().state() != JOB_STATE_FAILED) OpenAll(h, nodes);
  return h->now() - start;
}

TEST_CASE(
    "A job without progress gets all messages again, is moved, goes back, and fails with what is missing") {
  Harness h;
  const uint64_t s = h.Join(NODE_ROLE_SERVER, "s"), w1 = h.Join(NODE_ROLE_WORKER, "w1"),
                 w2 = h.Join(NODE_ROLE_WORKER, "w2");
  h.Start({s}, {w1, w2});
  h.Reached(s, 0, 1);
  h.Clear();
  const auto stuck = [&] { Missing(&h, s, 0, 1, 0, 2); };
  stuck();
  CHECK(PassUntilRenewed(&h, {s, w1, w2}) <= absl::Seconds(121));
  CHECK(h.ended_sessions() == std::vector<uint64_t>{s, w1, w2});
  CHECK(h.CurrentView().view() == 2);
  CHECK(h.CurrentView().slots_size() == 2);
  CHECK(h.CurrentView().restore().restore_id() == 1);
  h.Installed(s, 2);
  CHECK(h.Last(w1, Directive::kView)->view().view() == 2);
  CHECK(h.Said("still missing: slots [0,2) from w1; trying to deliver all messages again"));
  CHECK(h.GetJob().interventions() == 1);

  stuck();
  PassUntilRenewed(&h, {s, w1, w2});
  REQUIRE(h.CurrentView().slots_size() == 1);
  CHECK(h.CurrentView().slots(0).worker().node_id() == w2);
  CHECK(h.CurrentView().restore().restore_id() == 1);
  h.Installed(s, 3);
  CHECK(h.GetJob().interventions() == 2);

  stuck();
  PassUntilRenewed(&h, {s, w1, w2});
  CHECK(h.CurrentView().restore().restore_id() == 2);
  h.Installed(s, 4);
  CHECK(h.GetJob().interventions() == 3);
  PassUntilRenewed(&h, {s, w1, w2});
  CHECK(h.GetJob().state() == JOB_STATE_FAILED);
  CHECK_THAT(h.GetJob().reason(), Contains("for no known reason; still missing: ") &&
                                      Contains("did not help to deliver all messages again") &&
                                      Contains("nor to go back to the newest checkpoint"));
}

TEST_CASE("A job that progresses after a remedy has all remedies again, and its node comes back") {
  Harness h;
  const uint64_t s = h.Join(NODE_ROLE_SERVER, "s"), w1 = h.Join(NODE_ROLE_WORKER, "w1"),
                 w2 = h.Join(NODE_ROLE_WORKER, "w2");
  h.Start({s}, {w1, w2});
  for (uint64_t version = 1; version <= 3; ++version) {
    Missing(&h, s, 0, version, 0, 2);
    PassUntilRenewed(&h, {s, w1, w2});
    h.Installed(s, h.CurrentView().view());
    Missing(&h, s, 0, version, 0, 2);
    PassUntilRenewed(&h, {s, w1, w2});
    h.Installed(s, h.CurrentView().view());
    REQUIRE(h.CurrentView().slots_size() == 1);
    CHECK(h.CurrentView().restore().restore_id() == 1);
    // Work goes on without the node, and then with it.
    uint64_t view = h.CurrentView().view();
    for (int minute = 0; h.CurrentView().view() == view; ++minute) {
      REQUIRE(minute < 7);
      std::map<uint64_t, NodeReport> busy = {{w2, Beat(ACTIVITY_COMPUTE, 0)}};
      PassWith(&h, absl::Minutes(1), {s, w1}, busy);
    }
    CHECK(h.CurrentView().slots_size() == 2);
    h.Installed(s, h.CurrentView().view());
  }
}

TEST_CASE("A node that is working or receiving parameters is waited for, however long it takes") {
  Harness h;
  const uint64_t s = h.Join(NODE_ROLE_SERVER, "s"), w = h.Join(NODE_ROLE_WORKER, "w");
  h.Start(s, w);
  NodeReport beat;
  SECTION("computing") { beat = Beat(ACTIVITY_COMPUTE, 1); }
  SECTION("on a slow network") { beat = Beat(ACTIVITY_TRANSFER, 20); }
  PassWith(&h, absl::Minutes(10), {s}, {{w, beat}});
  CHECK(h.CurrentView().view() == 1);
  CHECK(h.GetJob().interventions() == 0);
  for (double idle = 20; idle < 200; idle += 0.5)
    PassWith(&h, absl::Milliseconds(500), {s}, {{w, Beat(ACTIVITY_TRANSFER, idle)}});
  CHECK(h.GetJob().interventions() == 1);
}

TEST_CASE("A pair of nodes that is known not to reach each other is not an unexplained stall") {
  Harness h;
  const uint64_t s = h.Join(NODE_ROLE_SERVER, "s"), w = h.Join(NODE_ROLE_WORKER, "w");
  h.Start(s, w);
  PassWith(&h, absl::Minutes(10), {s}, {{w, CantReach(s)}});
  CHECK(h.CurrentView().view() == 1);
  CHECK(h.GetJob().state() == JOB_STATE_RUNNING);
}

TEST_CASE("A server that never says that it holds the view is told again, and then left out") {
  Harness h;
  const uint64_t s1 = h.Join(NODE_ROLE_SERVER, "s1"), s2 = h.Join(NODE_ROLE_SERVER, "s2"),
                 w = h.Join(NODE_ROLE_WORKER, "w");
  h.Submit();
  h.Prepared(w, true);
  h.Prepared(s1);
  h.Prepared(s2);
  h.Installed(s2, 1);
  h.Clear();
  PassUntilRenewed(&h, {s1, s2, w});
  REQUIRE(h.Last(s1, Directive::kView) != nullptr);
  CHECK(h.Last(s1, Directive::kView)->view().view() == 2);
  CHECK(h.Said("still missing: confirmation of view 1 from s1"));
  h.Installed(s2, 2);
  PassUntilRenewed(&h, {s1, s2, w});
  REQUIRE(h.CurrentView().shards_size() == 1);
  CHECK(h.CurrentView().shards(0).primary().node_id() == s2);
}

TEST_CASE("While being prepared, a job waits for more nodes forever, but not for nodes that don't answer") {
  Harness h;
  const uint64_t w1 = h.Join(NODE_ROLE_WORKER, "w1");
  SECTION("a worker that never derives") {
    const uint64_t w2 = h.Join(NODE_ROLE_WORKER, "w2");
    h.Submit();
    PassUntilRenewed(&h, {w1, w2});
    h.Clear();
    PassUntilRenewed(&h, {w1, w2});
    h.Pass(absl::Seconds(1), {w1, w2});
    REQUIRE(h.Last(w2, Directive::kPrepareJob) != nullptr);
    CHECK(h.Last(w2, Directive::kPrepareJob)->prepare_job().derive());
    CHECK(h.Said("w1 does not answer: w2 reads the data in its place"));
  }
  SECTION("a server that never answers") {
    h.Submit();
    h.Prepared(w1, true);
    const uint64_t s = h.Join(NODE_ROLE_SERVER, "s");
    for (int i = 0; i < 3; ++i) PassUntilRenewed(&h, {w1, s});
    PassUntilRenewed(&h, {w1, s});
    CHECK(h.GetJob().state() == JOB_STATE_FAILED);
    CHECK_THAT(h.GetJob().reason(), Contains("the answer to the job offer from s"));
  }
  SECTION("no server at all") {
    h.Submit();
    h.Prepared(w1, true);
    h.Pass(absl::Hours(2), {w1});
    CHECK(h.GetJob().state() == JOB_STATE_PREPARING);
    CHECK(h.ended_sessions().empty());
  }
  SECTION("servers that all refuse") {
    h.Submit();
    h.Prepared(w1, true);
    const uint64_t s = h.Join(NODE_ROLE_SERVER, "s");
    for (int i = 0; i < 20 && h.GetJob().state() == JOB_STATE_PREPARING; ++i) {
      if (h.Last(s, Directive::kPrepareJob) != nullptr) h.Refused(s, "no memory");
      h.Clear();
      h.Pass(absl::Seconds(1), {w1, s});
    }
    CHECK(h.GetJob().state() == JOB_STATE_FAILED);
    CHECK(h.GetJob().reason() == "no server can take part; s can't take part: no memory");
  }
}

TEST_CASE("A result whose checkpoint nobody reports is asked for again, and then trained again") {
  Harness h;
  const uint64_t s = h.Join(NODE_ROLE_SERVER, "s"), w = h.Join(NODE_ROLE_WORKER, "w");
  h.Start({s}, {w}, PlainSpec());
  h.Reached(s, 0, 20);
  REQUIRE(h.GetJob().state() == JOB_STATE_TESTING);
  PassUntilRenewed(&h, {s, w});
  SECTION("the report was lost") {
    h.Installed(s, h.CurrentView().view());
    h.Written(s, 0, 20);
    h.CommitLast();
    CHECK(h.GetJob().checkpoints_size() == 1);
  }
  SECTION("it was never written") {
    h.Installed(s, h.CurrentView().view());
    PassUntilRenewed(&h, {s, w});
    h.Installed(s, h.CurrentView().view());
    PassUntilRenewed(&h, {s, w});
    CHECK(h.CurrentView().restore().version() == 0);
  }
}

std::vector<std::string> StallsOf(Harness* h) {
  const ClusterStatus status = h->core().GetStatus(h->now());
  return {status.stalls().begin(), status.stalls().end()};
}

TEST_CASE("After a restart the status names the nodes that are waited for, and no round that is not known") {
  Harness h;
  const uint64_t s = h.Join(NODE_ROLE_SERVER, "s"), w = h.Join(NODE_ROLE_WORKER, "w");
  h.Start(s, w);
  h.Reached(s, 0, 3);
  h.Restart();
  h.Pass(absl::Milliseconds(2500), {});
  CHECK(StallsOf(&h) == std::vector<std::string>{"job 1: waits for s, w to come back, or for the end of the "
                                                 "lease in 0.5 s; the job has made no progress for 2.5 s"});
  REQUIRE(h.Open(s).ok());
  REQUIRE(StallsOf(&h).size() == 1);
  CHECK_THAT(StallsOf(&h)[0], Catch::Matchers::StartsWith("job 1: waits for w to come back"));
  REQUIRE(h.Open(w).ok());
  h.Installed(s, h.CurrentView().view());
  h.Reached(s, 0, 3);
  h.Pass(absl::Seconds(3), {s, w});
  REQUIRE(StallsOf(&h).size() == 1);
  CHECK_THAT(StallsOf(&h)[0], Catch::Matchers::StartsWith("job 1, round 3: "));
}

TEST_CASE("The status names a server whose session is broken rather than who owed it something before") {
  SchedulerOptions options;
  options.session_grace = options.lease = absl::Seconds(30);
  Harness h(options);
  const uint64_t s = h.Join(NODE_ROLE_SERVER, "s"), w = h.Join(NODE_ROLE_WORKER, "w");
  h.Start(s, w);
  h.Reached(s, 0, 3);
  h.Break(s);
  h.Pass(absl::Seconds(3), {w});
  REQUIRE(StallsOf(&h).size() == 1);
  CHECK_THAT(StallsOf(&h)[0], Catch::Matchers::StartsWith("job 1, round 3: waits for s to come back"));
}

// The server reports that its shard has version 3 and lacks these slots.
void ReportMissing(Harness* h, uint64_t server, SlotRange slots) {
  NodeReport report;
  ShardProgress& progress = *report.mutable_shard_progress();
  progress.set_job(1);
  progress.set_view(h->CurrentView().view());
  progress.set_version(3);
  MissingSlots& missing = *progress.add_missing();
  missing.set_slot_begin(slots.begin);
  missing.set_slot_end(slots.end);
  REQUIRE(h->Report(server, report).ok());
}

TEST_CASE("The status names the slots of a stall and their worker") {
  Harness h;
  const uint64_t s = h.Join(NODE_ROLE_SERVER, "s"), w = h.Join(NODE_ROLE_WORKER, "w");
  h.Start(s, w);
  ReportMissing(&h, s, {1, 2});
  CHECK(StallsOf(&h).empty());
  h.Pass(absl::Seconds(3), {s, w});
  REQUIRE(StallsOf(&h).size() == 1);
  CHECK_THAT(StallsOf(&h)[0], Contains("job 1, round 3: slots [0,4) of w, silent for 0.0 s"));
}

TEST_CASE("The status names the round also while a new view is being installed") {
  Harness h;
  const uint64_t s = h.Join(NODE_ROLE_SERVER, "s"), w = h.Join(NODE_ROLE_WORKER, "w");
  h.Start({s}, {w}, PlainSpec());
  h.Reached(s, 0, 3);
  PassUntilRenewed(&h, {s, w});
  h.Pass(absl::Seconds(3), {s, w});
  REQUIRE(StallsOf(&h).size() == 1);
  CHECK_THAT(StallsOf(&h)[0], Catch::Matchers::StartsWith("job 1, round 3: "));
}

TEST_CASE("The status names the node that is silent rather than those that wait for it") {
  SchedulerOptions options;
  options.lease = absl::Seconds(30);
  Harness h(options);
  const uint64_t s = h.Join(NODE_ROLE_SERVER, "s"), w = h.Join(NODE_ROLE_WORKER, "w");
  h.Start(s, w);
  h.Reached(s, 0, 3);
  h.Pass(absl::Seconds(5), {w});
  REQUIRE(StallsOf(&h).size() == 1);
  CHECK_THAT(StallsOf(&h)[0], Contains("job 1, round 3: shard 0 of 1 of s, silent for 5.0 s"));
}

TEST_CASE("The status names the silent nodes first, and then those that owe something, each once") {
  SchedulerOptions options;
  options.lease = absl::Seconds(30);
  Harness h(options);
  const uint64_t s = h.Join(NODE_ROLE_SERVER, "s"), w1 = h.Join(NODE_ROLE_WORKER, "w1"),
                 w2 = h.Join(NODE_ROLE_WORKER, "w2");
  h.Start({s}, {w1, w2}, PlainSpec());
  ReportMissing(&h, s, {0, kSlots});
  h.Pass(absl::Seconds(5), {s, w2});
  REQUIRE(StallsOf(&h).size() == 2);
  CHECK_THAT(StallsOf(&h)[0], Contains("of w1, silent for 5.0 s"));
  CHECK_THAT(StallsOf(&h)[1], Contains("of w2, silent for 0.0 s"));
}

TEST_CASE("The status calls no node silent that sends its heartbeats, however rare they are") {
  SchedulerOptions options;
  options.heartbeat = absl::Seconds(5);
  options.lease = absl::Seconds(30);
  Harness h(options);
  const uint64_t s = h.Join(NODE_ROLE_SERVER, "s"), w = h.Join(NODE_ROLE_WORKER, "w");
  h.Start({s}, {w}, PlainSpec());
  ReportMissing(&h, s, {1, 2});
  h.Pass(absl::Seconds(10), {s, w}, options.heartbeat);
  h.Sleep(absl::Seconds(4));
  REQUIRE(StallsOf(&h).size() == 1);
  CHECK_THAT(StallsOf(&h)[0], Contains("slots [0,4) of w, silent for 4.0 s"));
}

TEST_CASE("The status waits for no node that owes nothing, though its session is broken") {
  Harness h;
  const uint64_t s = h.Join(NODE_ROLE_SERVER, "s"), w1 = h.Join(NODE_ROLE_WORKER, "w1"),
                 w2 = h.Join(NODE_ROLE_WORKER, "w2");
  h.Start({s}, {w1, w2}, PlainSpec());
  const SlotAssignment slots = h.CurrentView().slots(0);
  const std::string awaited = slots.worker().name(), other = awaited == "w1" ? "w2" : "w1";
  ReportMissing(&h, s, {slots.slot_begin(), slots.slot_end()});
  h.Pass(absl::Milliseconds(2400), {s, w1, w2});
  h.Break(awaited == "w1" ? w2 : w1);
  h.Pass(absl::Milliseconds(200), {s, awaited == "w1" ? w1 : w2});
  REQUIRE(StallsOf(&h).size() == 1);
  CHECK_THAT(StallsOf(&h)[0], Contains("of " + awaited));
  CHECK_THAT(StallsOf(&h)[0], !Contains(other));
}

}  // namespace
}  // namespace shoal::scheduler
