#include "common/rpc/session_core.h"

#include "catch2/catch.hpp"

namespace shoal {
namespace {

const absl::Time kStart = absl::FromUnixSeconds(1000);

JoinResponse Admitted(uint64_t node) {
  JoinResponse response;
  response.set_node_id(node);
  response.set_name("worker-1");
  response.set_heartbeat_ms(100);
  response.set_cluster_id("cluster-a");
  return response;
}

SessionCore::Options MakeOptions() {
  SessionCore::Options options;
  options.join.set_incarnation(7);
  options.scheduler = "host:1";
  return options;
}

template <typename T>
std::vector<T> Only(const std::vector<SessionAction>& actions) {
  std::vector<T> found;
  for (const SessionAction& action : actions) {
    if (const T* one = std::get_if<T>(&action)) found.push_back(*one);
  }
  return found;
}

std::vector<SessionNews::Kind> News(const std::vector<SessionAction>& actions) {
  std::vector<SessionNews::Kind> kinds;
  for (const SessionNews& news : Only<SessionNews>(actions)) kinds.push_back(news.kind);
  return kinds;
}

// A core with an open session.
SessionCore Standing() {
  SessionCore core(MakeOptions());
  core.Start(kStart);
  core.Joined(kStart, Admitted(5));
  core.Opened(kStart, 1);
  core.Written(kStart, 1);
  core.TakeActions();
  return core;
}

TEST_CASE("A session's Hello names the cluster that gave the node its id, and the process") {
  SessionCore core(MakeOptions());
  core.Start(kStart);
  CHECK(Only<CallJoin>(core.TakeActions()).size() == 1);
  core.Joined(kStart, Admitted(5));
  const auto opened = Only<OpenStream>(core.TakeActions());
  REQUIRE(opened.size() == 1);
  CHECK(opened[0].hello.node_id() == 5);
  CHECK(opened[0].hello.join().cluster_id() == "cluster-a");
  CHECK(opened[0].hello.join().incarnation() == 7);
}

TEST_CASE("A scheduler that does not answer is tried again later and later; a taken name too") {
  SessionCore core(MakeOptions());
  core.Start(kStart);
  core.TakeActions();
  absl::Time now = kStart;
  absl::Duration former;
  for (const absl::Status& failure :
       {absl::UnavailableError("x"), absl::UnavailableError("x"), absl::AlreadyExistsError("taken")}) {
    core.Joined(now, failure);
    const auto wake = Only<WakeAt>(core.TakeActions());
    REQUIRE(wake.size() == 1);
    CHECK(wake[0].time - now > former);
    former = wake[0].time - now;
    core.Tick(wake[0].time - absl::Milliseconds(1));
    CHECK(core.TakeActions().empty());
    now = wake[0].time;
    core.Tick(now);
    CHECK(Only<CallJoin>(core.TakeActions()).size() == 1);
  }
}

TEST_CASE("A node whose scheduler address is another program's says so, with the address, and keeps trying") {
  SessionCore core(MakeOptions());
  core.Start(kStart);
  core.TakeActions();
  core.Joined(kStart, absl::UnimplementedError("no such call"));
  const auto actions = core.TakeActions();
  const auto logs = Only<SessionLog>(actions);
  REQUIRE(logs.size() == 1);
  CHECK(logs[0].warning);
  CHECK_THAT(logs[0].text, Catch::Matchers::Contains("What answers at host:1 is not a Shoal scheduler") &&
                               Catch::Matchers::Contains("check --scheduler"));
  CHECK(Only<WakeAt>(actions).size() == 1);
}

TEST_CASE("A node that is refused for good stops trying") {
  SessionCore core(MakeOptions());
  core.Start(kStart);
  core.TakeActions();
  core.Joined(kStart, absl::FailedPreconditionError("another release"));
  const auto actions = core.TakeActions();
  REQUIRE(Only<SessionNews>(actions).size() == 1);
  CHECK(Only<SessionNews>(actions)[0].kind == SessionNews::Kind::kRefused);
  CHECK(Only<SessionNews>(actions)[0].refused.message() ==
        "the scheduler at host:1 refuses this node: another release");
  core.Tick(kStart + absl::Hours(1));
  CHECK(core.TakeActions().empty());
}

TEST_CASE("The refusal of a node is its last news, also when it leaves") {
  SessionCore core(MakeOptions());
  core.Start(kStart);
  core.Joined(kStart, absl::PermissionDeniedError("not from there"));
  REQUIRE(News(core.TakeActions()) == std::vector{SessionNews::Kind::kRefused});
  core.Leave(kStart);
  CHECK(core.TakeActions().empty());
}

TEST_CASE("A node that was given no id has not joined, and tries again") {
  SessionCore core(MakeOptions());
  core.Start(kStart);
  core.TakeActions();
  core.Joined(kStart, Admitted(0));
  const auto actions = core.TakeActions();
  CHECK(News(actions).empty());
  CHECK(Only<OpenStream>(actions).empty());
  REQUIRE(Only<SessionLog>(actions).size() == 1);
  CHECK(Only<SessionLog>(actions)[0].text ==
        "The scheduler at host:1 does not admit this node yet, still trying: "
        "INTERNAL: its answer has no node id");
  const auto wake = Only<WakeAt>(actions);
  REQUIRE(wake.size() == 1);
  core.Tick(wake[0].time);
  CHECK(Only<CallJoin>(core.TakeActions()).size() == 1);
}

TEST_CASE("A heartbeat is due every interval, and only one waits to be written") {
  SessionCore core = Standing();
  core.Tick(kStart + absl::Milliseconds(99));
  CHECK(core.TakeActions().empty());
  core.Tick(kStart + absl::Milliseconds(100));
  CHECK(Only<MakeHeartbeat>(core.TakeActions()).size() == 1);
  NodeReport heartbeat;
  heartbeat.mutable_heartbeat();
  for (int i = 0; i < 3; ++i) core.Send(kStart, heartbeat);
  CHECK(Only<WriteReport>(core.TakeActions()).size() == 1);
  core.Written(kStart, 1);
  CHECK(Only<WriteReport>(core.TakeActions()).size() == 1);
  core.Written(kStart, 1);
  CHECK(core.TakeActions().empty());
}

TEST_CASE("Reports are written one at a time, in order, and only while a stream is open") {
  SessionCore core = Standing();
  for (uint64_t job = 1; job <= 2; ++job) {
    NodeReport report;
    report.mutable_job_prepared()->set_job(job);
    core.Send(kStart, report);
  }
  auto written = Only<WriteReport>(core.TakeActions());
  REQUIRE(written.size() == 1);
  CHECK(written[0].report.job_prepared().job() == 1);
  core.Written(kStart, 1);
  written = Only<WriteReport>(core.TakeActions());
  REQUIRE(written.size() == 1);
  CHECK(written[0].report.job_prepared().job() == 2);
  core.Closed(kStart, 1, absl::UnavailableError("broken"));
  core.TakeActions();
  core.Send(kStart, written[0].report);
  CHECK(core.TakeActions().empty());
}

TEST_CASE("When the scheduler does not read, waiting reports are bounded: the stream is closed") {
  SessionCore core = Standing();
  NodeReport report;
  report.mutable_job_prepared();
  for (size_t i = 0; i <= SessionCore::kMaxQueuedReports; ++i) core.Send(kStart, report);
  CHECK(Only<CloseStream>(core.TakeActions()).empty());
  CHECK(core.queued_reports() == SessionCore::kMaxQueuedReports);
  core.Send(kStart, report);
  CHECK(Only<CloseStream>(core.TakeActions()).size() == 1);
  CHECK(core.queued_reports() == 0);
}

TEST_CASE("A broken session is reopened under the same id") {
  SessionCore core = Standing();
  core.Closed(kStart, 1, absl::UnavailableError("broken"));
  const auto wake = Only<WakeAt>(core.TakeActions());
  REQUIRE(wake.size() == 1);
  core.Tick(wake[0].time);
  const auto opened = Only<OpenStream>(core.TakeActions());
  REQUIRE(opened.size() == 1);
  CHECK(opened[0].hello.node_id() == 5);
  CHECK(opened[0].stream == 2);
}

TEST_CASE("A node whose lease has ended joins again, but only after it has dropped its state") {
  SessionCore core = Standing();
  const absl::Time later = kStart + absl::Seconds(1);
  core.Closed(later, 1, absl::FailedPreconditionError("lease over"));
  auto actions = core.TakeActions();
  CHECK(News(actions) == std::vector{SessionNews::Kind::kLeaseLost});
  CHECK(Only<CallJoin>(actions).empty());
  CHECK(core.node_id() == 0);
  core.StateDropped(later);
  CHECK(Only<CallJoin>(core.TakeActions()).size() == 1);
}

TEST_CASE("A session that is refused as soon as it is open is not reopened at once") {
  SessionCore core = Standing();
  core.Closed(kStart, 1, absl::FailedPreconditionError("lease over"));
  core.StateDropped(kStart);
  const auto actions = core.TakeActions();
  CHECK(Only<CallJoin>(actions).empty());
  CHECK(Only<WakeAt>(actions).size() == 1);
}

TEST_CASE("Events of a stream that has ended change nothing") {
  SessionCore core = Standing();
  core.Closed(kStart, 1, absl::UnavailableError("broken"));
  core.TakeActions();
  core.Opened(kStart, 1);
  core.Written(kStart, 1);
  core.Released(kStart, 1);
  core.Closed(kStart, 1, absl::FailedPreconditionError("lease over"));
  CHECK(core.TakeActions().empty());
  CHECK(core.node_id() == 5);
}

TEST_CASE("A node that leaves says so again in a later session, and is released at once when it has none") {
  SessionCore core = Standing();
  core.Leave(kStart);
  CHECK(Only<WriteReport>(core.TakeActions()).size() == 1);
  core.Closed(kStart, 1, absl::UnavailableError("broken"));
  core.Tick(kStart + absl::Seconds(10));
  core.TakeActions();
  core.Opened(kStart, 2);
  core.Written(kStart, 2);
  const auto written = Only<WriteReport>(core.TakeActions());
  REQUIRE(written.size() == 1);
  CHECK(written[0].report.has_leaving());
  core.Closed(kStart, 2, absl::FailedPreconditionError("lease over"));
  CHECK(News(core.TakeActions()) == std::vector{SessionNews::Kind::kLeaseLost, SessionNews::Kind::kReleased});
  core.StateDropped(kStart);
  CHECK(core.TakeActions().empty());
}

TEST_CASE("A node that leaves while it waits to join again is released at once and joins no more") {
  SessionCore core(MakeOptions());
  core.Start(kStart);
  core.Joined(kStart, absl::UnavailableError("nobody there"));
  core.TakeActions();
  core.Leave(kStart);
  CHECK(News(core.TakeActions()) == std::vector{SessionNews::Kind::kReleased});
  core.Tick(kStart + absl::Seconds(60));
  CHECK(core.TakeActions().empty());
}

TEST_CASE("A node that leaves after its lease has ended is released at once and joins no more") {
  SessionCore core = Standing();
  core.Closed(kStart, 1, absl::FailedPreconditionError("lease over"));
  core.TakeActions();
  core.Leave(kStart);
  CHECK(News(core.TakeActions()) == std::vector{SessionNews::Kind::kReleased});
  core.StateDropped(kStart);
  CHECK(core.TakeActions().empty());
}

TEST_CASE("A node that leaves while it joins tells the scheduler once it is admitted") {
  SessionCore core(MakeOptions());
  core.Start(kStart);
  core.Leave(kStart);
  CHECK(News(core.TakeActions()).empty());
  core.Joined(kStart, Admitted(5));
  const auto opened = Only<OpenStream>(core.TakeActions());
  REQUIRE(opened.size() == 1);
  core.Opened(kStart, opened[0].stream);
  core.Written(kStart, opened[0].stream);
  const auto written = Only<WriteReport>(core.TakeActions());
  REQUIRE(written.size() == 1);
  CHECK(written[0].report.has_leaving());
}

TEST_CASE("A node that leaves while it joins is released when it is not admitted") {
  SessionCore core(MakeOptions());
  core.Start(kStart);
  core.Leave(kStart);
  core.TakeActions();
  core.Joined(kStart, absl::UnavailableError("nobody there"));
  CHECK(News(core.TakeActions()) == std::vector{SessionNews::Kind::kReleased});
}

TEST_CASE("A report that quotes a damaged file can be parsed by the scheduler") {
  SessionCore core = Standing();
  NodeReport report;
  report.mutable_view_installed()->set_error("no tensor 'theta\xFF'");
  core.Send(kStart, report);
  const auto written = Only<WriteReport>(core.TakeActions());
  REQUIRE(written.size() == 1);
  NodeReport parsed;
  REQUIRE(parsed.ParseFromString(written[0].report.SerializeAsString()));
  CHECK(parsed.view_installed().error() == "no tensor 'theta?'");
}

TEST_CASE("A report quotes megabytes in none of its reasons, and a plan arrives whole") {
  const auto sent = [](const NodeReport& report) {
    SessionCore core = Standing();
    core.Send(kStart, report);
    const auto written = Only<WriteReport>(core.TakeActions());
    REQUIRE(written.size() == 1);
    return written[0].report;
  };
  NodeReport refused, prepared;
  refused.mutable_job_refused()->set_reason(std::string(20'000'000, 'x'));
  CHECK(sent(refused).job_refused().reason().size() < 10'000);
  prepared.mutable_job_prepared()->mutable_plan()->set_model_config(std::string(20'000, 'x'));
  CHECK(sent(prepared).job_prepared().plan().model_config().size() == 20'000);
}

TEST_CASE("A report made in an older session is dropped") {
  SessionCore core = Standing();
  core.SendIn(kStart, 0, NodeReport());
  CHECK(core.TakeActions().empty());
  core.SendIn(kStart, 1, NodeReport());
  CHECK(Only<WriteReport>(core.TakeActions()).size() == 1);
}

}  // namespace
}  // namespace shoal
