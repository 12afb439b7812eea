#include "scheduler/progress_watch.h"

#include <cmath>
#include <limits>

#include "catch2/catch.hpp"
#include "common/base/release.h"
#include "common/base/utf8.h"
#include "google/protobuf/unknown_field_set.h"

namespace shoal::scheduler {
namespace {

const NodeId kServer{1}, kWorker{2};

struct Fixture {
  SchedulerOptions options;
  Membership members{options};
  ProgressWatch watch{options.watch};
  Outbox out;
  absl::Time now = absl::FromUnixSeconds(1000);

  Fixture() {
    JoinRequest request;
    request.set_protocol_version(kProtocolVersion);
    request.set_role(NODE_ROLE_SERVER);
    request.set_name("server-1");
    request.set_address("10.0.0.5:7071");
    REQUIRE(members.Join(now, kServer, request, &out).ok());
    request.set_role(NODE_ROLE_WORKER);
    request.set_name("worker-1");
    REQUIRE(members.Join(now, kWorker, request, &out).ok());
  }
  // A heartbeat half a second later. idle < 0: no activity.
  void Beat(double idle, double unreachable = 0, ActivityKind kind = ACTIVITY_COMPUTE, uint64_t view = 1) {
    now += absl::Milliseconds(500);
    Heartbeat heartbeat;
    if (idle >= 0) {
      Activity& activity = *heartbeat.add_activities();
      activity.set_kind(kind);
      activity.set_job(1);
      activity.set_view(view);
      activity.set_idle_seconds(idle);
      activity.set_detail("round 8, slot 5");
    }
    if (unreachable > 0) {
      UnreachablePeer& peer = *heartbeat.add_unreachable();
      peer.mutable_peer()->set_node_id(kServer.value());
      peer.set_seconds(unreachable);
      peer.set_error("connection refused");
    }
    watch.OnHeartbeat(now, kWorker, heartbeat, members);
  }
  bool suspect() const { return watch.Suspect(kWorker) != nullptr; }
};

TEST_CASE(
    "A kind of activity that was never measured has its first deadline, then one from what was measured") {
  Fixture f;
  CHECK(f.watch.Deadline(JobId(1), ACTIVITY_COMPUTE) == absl::Minutes(2));
  f.Beat(0.2);
  f.Beat(0.1);
  CHECK(f.watch.Deadline(JobId(1), ACTIVITY_COMPUTE) == absl::Seconds(10));  // the floor
  f.Beat(5);
  f.Beat(0.1);
  CHECK(f.watch.Deadline(JobId(1), ACTIVITY_COMPUTE) == absl::Seconds(40));
  CHECK(f.watch.Deadline(JobId(2), ACTIVITY_COMPUTE) == absl::Minutes(2));
}

TEST_CASE("Long waits are forgotten after a while") {
  Fixture f;
  f.Beat(5);
  f.Beat(0.1);
  for (int i = 0; i < 2; ++i) {
    f.now += absl::Minutes(11);
    f.Beat(0.2);
    f.Beat(0.1);
  }
  CHECK(f.watch.Deadline(JobId(1), ACTIVITY_COMPUTE) == absl::Seconds(10));
}

TEST_CASE("A node that is alive but makes no progress is suspect after its deadline, and says in what") {
  Fixture f;
  f.Beat(0.2);
  f.Beat(0.1);
  f.Beat(9.9);
  CHECK_FALSE(f.suspect());
  f.Beat(10.4);
  CHECK_FALSE(f.suspect());  // once may mean that the whole node was suspended
  f.Beat(10.9);
  REQUIRE(f.suspect());
  CHECK(*f.watch.Suspect(kWorker) ==
        "has shown no progress in computing (round 8, slot 5) for 10.9 s, expected within 10.0 s");
  const auto news = f.watch.Advance(f.now, f.members);
  REQUIRE(news.size() == 1);
  CHECK_THAT(news[0], Catch::Matchers::StartsWith("worker-1 has shown no progress"));
  CHECK(f.watch.Advance(f.now, f.members).empty());
}

TEST_CASE("A node that was suspended as a whole for a long time is not suspect when it resumes") {
  Fixture f;
  f.Beat(0.2);
  f.Beat(0.1);
  f.Beat(600);
  f.Beat(0.1);
  CHECK_FALSE(f.suspect());
}

TEST_CASE("A suspect is trusted again when it has been well for a while, longer each time") {
  Fixture f;
  f.Beat(0.2);
  f.Beat(0.1);
  absl::Duration former;
  for (double idle : {1e6, 1e8, 9e8}) {  // beyond what was measured before
    f.Beat(idle);
    f.Beat(idle + 1);
    REQUIRE(f.suspect());
    f.Beat(-1);
    const absl::Time well = f.now;
    while (f.suspect()) {
      REQUIRE(f.now - well < absl::Minutes(10));
      f.Beat(-1);
      (void)f.watch.Advance(f.now, f.members);
    }
    CHECK(f.now - well > former);
    former = f.now - well;
  }
}

TEST_CASE("A node that hangs stays suspect in later views, and changes nobody's deadline") {
  Fixture f;
  f.Beat(0.2);
  f.Beat(0.1);
  for (double idle = 9; idle < 200; idle += 0.5) {
    f.Beat(idle, 0, ACTIVITY_COMPUTE, /*view=*/static_cast<uint64_t>(idle));  // it names the newest view
    (void)f.watch.Advance(f.now, f.members);
    CHECK(f.watch.Deadline(JobId(1), ACTIVITY_COMPUTE) == absl::Seconds(10));
    CHECK((idle < 11 || f.suspect()));
  }
  f.Beat(0.1);  // finally
  f.now += absl::Seconds(3);
  f.Beat(0.1);
  (void)f.watch.Advance(f.now, f.members);
  CHECK_FALSE(f.suspect());
  CHECK(f.watch.Deadline(JobId(1), ACTIVITY_COMPUTE) == absl::Seconds(10));
}

TEST_CASE("A suspect does not become well because the others' deadline has grown") {
  Fixture f;
  f.Beat(0.2);
  f.Beat(0.1);
  f.Beat(10.5);
  f.Beat(11);
  REQUIRE(f.suspect());
  for (double idle : {5.0, 0.1}) {
    Heartbeat other;
    Activity& activity = *other.add_activities();
    activity.set_kind(ACTIVITY_COMPUTE);
    activity.set_job(1);
    activity.set_idle_seconds(idle);
    f.watch.OnHeartbeat(f.now, kServer, other, f.members);
  }
  REQUIRE(f.watch.Deadline(JobId(1), ACTIVITY_COMPUTE) == absl::Seconds(40));
  for (double idle = 11.5; idle < 39; idle += 0.5) {
    f.Beat(idle);
    (void)f.watch.Advance(f.now, f.members);
    CHECK(f.suspect());
  }
}

TEST_CASE("One node's extreme times set no deadline, and no deadline exceeds the longest") {
  Fixture f;
  f.Beat(0.2);
  f.Beat(0.1);
  for (double wild : {1e9, std::nan(""), std::numeric_limits<double>::infinity(), -0.5, 11.0, 1e300}) {
    f.Beat(wild);
    f.Beat(0.1);
    CHECK(f.watch.Deadline(JobId(1), ACTIVITY_COMPUTE) == absl::Seconds(10));
  }
  for (double idle : {9.0, 70.0, 500.0, 599.0}) {  // each within its deadline
    f.Beat(idle);
    f.Beat(0.1);
    CHECK(f.watch.Deadline(JobId(1), ACTIVITY_COMPUTE) <= absl::Minutes(10));
  }
}

TEST_CASE("An activity that has ended says nothing about how long the next one may take") {
  Fixture f;
  f.Beat(9);
  f.Beat(-1);
  CHECK(f.watch.Deadline(JobId(1), ACTIVITY_COMPUTE) == absl::Minutes(2));
}

TEST_CASE(
    "Two nodes are cut off once one has not reached the other for a while, until it no longer reports that") {
  Fixture f;
  f.Beat(-1, 1.5);
  CHECK_FALSE(f.watch.IsCut(kServer, kWorker));
  f.Beat(-1, 2.0);
  CHECK(f.watch.IsCut(kServer, kWorker));
  CHECK(f.watch.IsCut(kWorker, kServer));
  const std::string text = "worker-1 can't reach server-1 at 10.0.0.5:7071: connection refused";
  CHECK(f.watch.Cuts(f.members) == std::vector<std::string>{text});
  CHECK(f.watch.Advance(f.now, f.members) == std::vector<std::string>{text});
  CHECK(f.watch.Advance(f.now, f.members).empty());
  f.Beat(-1);
  (void)f.watch.Advance(f.now, f.members);
  CHECK(f.watch.IsCut(kServer, kWorker));  // not yet
  f.now += absl::Seconds(3);
  f.Beat(-1);
  (void)f.watch.Advance(f.now, f.members);
  CHECK_FALSE(f.watch.IsCut(kServer, kWorker));
}

TEST_CASE("Reports of invalid times, or about nodes that do not exist, do no harm") {
  Fixture f;
  f.Beat(0.2);
  f.Beat(std::nan(""));
  f.Beat(std::numeric_limits<double>::infinity());
  CHECK_FALSE(f.suspect());
  Heartbeat heartbeat;
  for (int i = 0; i < 100; ++i) {
    heartbeat.add_unreachable()->mutable_peer()->set_node_id(100 + i);
    heartbeat.mutable_unreachable(i)->set_seconds(100);
    heartbeat.mutable_unreachable(i)->set_error(std::string(100'000, 'x'));
    heartbeat.add_activities()->set_kind(static_cast<ActivityKind>(i));
    heartbeat.add_queues()->set_name(std::string(100'000, 'x'));
  }
  f.watch.OnHeartbeat(f.now, kWorker, heartbeat, f.members);
  CHECK(f.watch.Cuts(f.members).empty());
  CHECK(f.watch.Last(kWorker)->activities_size() == ProgressWatch::kMaxActivities);
  CHECK(f.watch.Last(kWorker)->queues_size() == ProgressWatch::kMaxQueues);
  CHECK(f.watch.Last(kWorker)->ByteSizeLong() < 100'000);
}

TEST_CASE("The texts of a heartbeat are cut between characters, so that a status with them can be parsed") {
  Fixture f;
  std::string euros;
  for (int i = 0; i < 300; ++i) euros += "\xE2\x82\xAC";
  Heartbeat heartbeat;
  heartbeat.add_activities()->set_detail(euros);
  UnreachablePeer& peer = *heartbeat.add_unreachable();
  peer.mutable_peer()->set_node_id(kServer.value());
  peer.mutable_peer()->set_name(euros);
  peer.mutable_peer()->set_address(euros);
  peer.set_error(euros);
  heartbeat.add_queues()->set_name(euros);
  f.watch.OnHeartbeat(f.now, kWorker, heartbeat, f.members);

  const Heartbeat& kept = *f.watch.Last(kWorker);
  const UnreachablePeer& kept_peer = kept.unreachable(0);
  CHECK(kept_peer.peer().node_id() == kServer.value());
  for (const std::string* text : {&kept.activities(0).detail(), &kept_peer.peer().name(),
                                  &kept_peer.peer().address(), &kept_peer.error(), &kept.queues(0).name()}) {
    CHECK(IsValidUtf8(*text));
    CHECK(*text == euros.substr(0, 510) + "...");
  }
  ClusterStatus status;
  NodeStatus& node = *status.add_nodes();
  *node.mutable_activities() = kept.activities();
  *node.mutable_unreachable() = kept.unreachable();
  *node.mutable_queues() = kept.queues();
  CHECK(ClusterStatus().ParseFromString(status.SerializeAsString()));
}

TEST_CASE("Nothing else of a heartbeat is kept at any size") {
  Fixture f;
  const std::string megabyte(1 << 20, 'x');
  Heartbeat heartbeat;
  UnreachablePeer& peer = *heartbeat.add_unreachable();
  peer.mutable_peer()->set_node_id(kServer.value());
  peer.mutable_peer()->set_name(megabyte);
  peer.mutable_peer()->set_address(megabyte);
  Activity& activity = *heartbeat.add_activities();
  activity.GetReflection()->MutableUnknownFields(&activity)->AddLengthDelimited(1000, megabyte);
  f.watch.OnHeartbeat(f.now, kWorker, heartbeat, f.members);
  CHECK(f.watch.Last(kWorker)->ByteSizeLong() < 3 * ProgressWatch::kMaxTextBytes);
}

TEST_CASE("A node whose lease is over is forgotten") {
  Fixture f;
  f.Beat(-1, 5);
  CHECK_FALSE(f.watch.AllWell());
  f.watch.Forget(kServer);
  CHECK_FALSE(f.watch.IsCut(kServer, kWorker));
  CHECK(f.watch.AllWell());
}

}  // namespace
}  // namespace shoal::scheduler
