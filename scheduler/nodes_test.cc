// Which process a node is, how long it counts as alive, and how it leaves: sessions, leases, names.
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "catch2/catch.hpp"
#include "scheduler/core_harness.h"

namespace shoal::scheduler {
namespace {

using Catch::Matchers::Contains;

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

TEST_CASE("A scheduler that was suspended for longer than a lease considers nobody dead") {
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
  h.Pass(absl::Seconds(4), {s});  // a node that is silent now is dead
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

TEST_CASE("A node that leaves gets no more slots, and is released") {
  Harness h;
  const uint64_t s = h.Join(NODE_ROLE_SERVER, "s"), w1 = h.Join(NODE_ROLE_WORKER, "w1");
  h.Start(s, w1);
  const uint64_t w2 = h.Join(NODE_ROLE_WORKER, "w2");
  h.Prepared(w2);
  h.Leave(w1);
  REQUIRE(h.CurrentView().slots_size() == 1);
  CHECK(h.CurrentView().slots(0).worker().node_id() == w2);
  CHECK(h.Last(w1, Directive::kReleased) != nullptr);
}

TEST_CASE("A scheduler that is restarted does not wait for nodes that had left, and their names are free") {
  Harness h;
  const uint64_t s = h.Join(NODE_ROLE_SERVER, "s"), w = h.Join(NODE_ROLE_WORKER, "w");
  h.Start(s, w);
  for (uint64_t node : {w, s}) h.Leave(node);
  h.Restart();
  CHECK(h.core().GetStatus(h.now()).nodes_size() == 0);
  const uint64_t next_s = h.Join(NODE_ROLE_SERVER, "s"), next_w = h.Join(NODE_ROLE_WORKER, "w");
  h.Prepared(next_s);
  h.Prepared(next_w);
  CHECK(h.CurrentView().view() == 2);
  CHECK(h.CurrentView().shards(0).primary().node_id() == next_s);
  // Had it not ended, it would be told to join again, which ends it.
  CHECK(absl::IsFailedPrecondition(h.Open(w)));
}

// The nodes of a job that wants two servers.
struct TwoServers {
  explicit TwoServers(Harness* h)
      : s1(h->Join(NODE_ROLE_SERVER, "s1")),
        s2(h->Join(NODE_ROLE_SERVER, "s2")),
        w(h->Join(NODE_ROLE_WORKER, "w")) {
    JobSpec spec = PlainSpec();
    spec.mutable_cluster()->set_min_servers(2);
    h->Start({s1, s2}, {w}, spec);
  }
  const uint64_t s1, s2, w;
};

TEST_CASE("When all nodes had left before a restart, the job waits for as many servers as at its start") {
  Harness h;
  const auto [s1, s2, w] = TwoServers(&h);
  REQUIRE(h.CurrentView().shards_size() == 2);
  for (uint64_t node : {w, s1, s2}) h.Leave(node);
  h.Restart();
  const uint64_t next_s1 = h.Join(NODE_ROLE_SERVER, "s1"), next_w = h.Join(NODE_ROLE_WORKER, "w");
  h.Prepared(next_s1);
  h.Prepared(next_w);
  const uint64_t view = h.CurrentView().view();
  const uint64_t next_s2 = h.Join(NODE_ROLE_SERVER, "s2");
  h.Prepared(next_s2);
  CHECK(h.CurrentView().view() == view + 1);
  CHECK(h.CurrentView().shards_size() == 2);
  CHECK(h.CurrentView().shards(1).primary().node_id() == next_s2);
}

TEST_CASE("When all servers leave, one that is there does not get all shards before others could come") {
  Harness h;
  const auto [s1, s2, w] = TwoServers(&h);
  h.Leave(s1);
  const uint64_t s3 = h.Join(NODE_ROLE_SERVER, "s3");
  h.Prepared(s3);
  const uint64_t view = h.CurrentView().view();
  REQUIRE(h.CurrentView().shards(0).primary().node_id() == s2);
  h.Leave(s2);
  CHECK(h.CurrentView().view() == view);
  const uint64_t s4 = h.Join(NODE_ROLE_SERVER, "s4");
  h.Prepared(s4);
  CHECK(h.CurrentView().view() == view + 1);
  CHECK(h.CurrentView().shards_size() == 2);
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
  CHECK(
      h.core().Join(h.now(), Process("worker-1", 8)).status().message() ==
      absl::StrCat("the name worker-1 is taken by node ", first,
                   " at worker-1:1, which has no session: unless it comes back, the name is free in 0.4 s"));
  h.Pass(absl::Seconds(1), {});
  CHECK(h.core().Join(h.now(), Process("worker-1", 8)).ok());
}

TEST_CASE("Whoever asks for the name of a node that is leaving is told so, and not to choose another") {
  Harness h;
  const uint64_t first = h.Join(NODE_ROLE_WORKER, "worker-1");
  h.Leave(first);
  CHECK_THAT(std::string(h.core().Join(h.now(), Process("worker-1", 8)).status().message()),
             Catch::Matchers::EndsWith("which is leaving: the name is free once it has left"));
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

TEST_CASE("A node whose name would rewrite the log is refused, with what a name may be") {
  Harness h;
  JoinRequest request = Process("worker-1", 1);
  const std::string evil = "evil\x1b[2J\nall is well";
  const char* field = GENERATE("name", "address", "machine");
  auto* const text = field == std::string("name")      ? request.mutable_name()
                     : field == std::string("address") ? request.mutable_address()
                                                       : request.mutable_machine();
  *text = evil;
  const absl::Status status = h.core().Join(h.now(), request).status();
  CHECK(absl::IsInvalidArgument(status));
  CHECK(status.message() == absl::StrCat(field,
                                         ": expected letters, digits and punctuation of ASCII, without "
                                         "blanks, got 'evil?[2J?all is well'"));
  *text = "worker-1";
  CHECK(h.core().Join(h.now(), request).ok());
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

}  // namespace
}  // namespace shoal::scheduler
