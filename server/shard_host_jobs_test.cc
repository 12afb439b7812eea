// How a job at a server begins, is replaced or closed, and is destroyed.
#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include "absl/synchronization/notification.h"
#include "catch2/catch.hpp"
#include "common/base/timer_queue.h"
#include "common/protocol/same_message.h"
#include "server/job_owner.h"
#include "server/shard_host_harness.h"

namespace shoal::server {
namespace {

TEST_CASE(
    "A request with the same number for another job replaces the current one; the same request does not") {
  TestServer server;
  const std::shared_ptr<ShardHost> first = server.job();
  PrepareJob request = server.request;
  SECTION("the same") {}
  SECTION("another spec") { request.mutable_spec()->set_seed(5); }
  SECTION("another plan") { request.mutable_plan()->set_rounds_per_epoch(2); }
  SECTION("another folder") { request.set_checkpoint_dir("/elsewhere"); }
  const bool same = SameMessage(request, server.request);
  Directive directive;
  *directive.mutable_prepare_job() = request;
  server.node().OnDirective(directive);
  CHECK((server.job() == first) == same);
  REQUIRE(server.reports.size() == 1);
  CHECK(server.reports[0].job_prepared().job() == 1);
}

TEST_CASE(
    "An older view than one that came before is of an older store: the job is dropped, and that is said") {
  TestServer server;
  server.Give(MakeView(2));
  server.time.Run();
  server.reports.clear();
  server.Give(MakeView(1));
  REQUIRE(server.reports.size() == 1);
  CHECK(server.reports[0].job_refused().outdated_training() == 77);
  CHECK_FALSE(server.reports[0].job_refused().fatal());
  CHECK_FALSE(server.node().Find(JobId(1)).ok());
  // The report may be lost with its session.
  const auto reports_in_new_session = [&] {
    server.reports.clear();
    server.node().OnSessionOpened();
    return server.reports;
  };
  const auto repeated = reports_in_new_session();
  REQUIRE(repeated.size() == 1);
  CHECK(repeated[0].job_refused().outdated_training() == 77);
  Directive prepare;
  *prepare.mutable_prepare_job() = server.request;
  SECTION("also when the job is prepared again, and for a view of that training") {
    server.node().OnDirective(prepare);
    auto reports = reports_in_new_session();
    REQUIRE(reports.size() == 2);
    CHECK(reports[0].job_refused().outdated_training() == 77);
    CHECK(reports[1].has_job_prepared());
    // The scheduler is about to know: a view of that training is not installed.
    server.reports.clear();
    server.Give(MakeView(3));
    server.time.Run();
    CHECK(server.reports.empty());
    // One of another training shows that the scheduler knows.
    View other = MakeView(1);
    other.set_training_id(78);
    server.Give(other);
    server.time.Run();
    reports = reports_in_new_session();
    REQUIRE_FALSE(reports.empty());
    CHECK(reports[0].has_job_prepared());
  }
  SECTION("until the job is closed") {
    Directive close;
    close.mutable_close_job()->set_job(1);
    server.node().OnDirective(close);
    CHECK(reports_in_new_session().empty());
  }
  SECTION("or another one is prepared") {
    prepare.mutable_prepare_job()->set_job(2);
    server.node().OnDirective(prepare);
    const auto reports = reports_in_new_session();
    REQUIRE(reports.size() == 1);
    CHECK(reports[0].has_job_prepared());
  }
  SECTION("or the lease is lost") {
    server.node().OnLeaseLost();
    CHECK(reports_in_new_session().empty());
  }
}

TEST_CASE("A view of another training ends the job here, which is refused and can be prepared again") {
  TestServer server;
  server.Give(MakeView(5));
  server.time.Run();
  const auto stream = std::make_shared<TestStream>(Key(5));
  REQUIRE(server.job()->Attach(stream).ok());
  server.reports.clear();
  View other = MakeView(1);
  other.set_training_id(78);
  server.Give(other);
  server.time.Run();
  CHECK(absl::IsFailedPrecondition(server.node().Find(JobId(1)).status()));
  CHECK(stream->ends.size() == 1);
  REQUIRE(server.reports.size() == 1);
  CHECK(server.reports[0].job_refused().job() == 1);
  CHECK_FALSE(server.reports[0].job_refused().fatal());
  Directive directive;
  *directive.mutable_prepare_job() = server.request;
  server.node().OnDirective(directive);
  server.Give(other);
  server.time.Run();
  CHECK(server.Installed() == std::vector<int>{1});
  CHECK(server.job()->shard().Versions(KeyOf(other)).ok());
}

TEST_CASE("A view of a job that is not here is refused, once, until the job is offered or a session begins") {
  TestServer server;
  const auto refusals = [&] {
    server.reports.clear();
    for (uint64_t view = 1; view <= 3; ++view) server.Give(MakeView(view));
    for (const NodeReport& report : server.reports) {
      CHECK(report.job_refused().job() == 1);
      CHECK(report.job_refused().outdated_training() == 0);  // the store need not be an older copy
      CHECK_FALSE(report.job_refused().fatal());
    }
    return server.reports.size();
  };
  Directive prepare, close;
  *prepare.mutable_prepare_job() = server.request;
  close.mutable_close_job()->set_job(1);
  server.node().OnDirective(close);
  CHECK(refusals() == 1);
  server.node().OnSessionOpened();
  CHECK(refusals() == 1);
  server.node().OnDirective(prepare);
  server.node().OnDirective(close);
  CHECK(refusals() == 1);
  // Refused by itself: the scheduler is about to know.
  server.node().OnDirective(prepare);
  server.Give(MakeView(5));
  server.reports.clear();
  server.Give(MakeView(4));
  CHECK(server.reports.size() == 1);
  CHECK(refusals() == 0);
}

TEST_CASE("A server whose disk does not let former jobs go takes on no more of them than it has room for") {
  TestServer server;
  Directive directive;
  for (uint64_t number = 2; number < 9; ++number) {
    server.reports.clear();
    *directive.mutable_prepare_job() = Preparation(number);
    server.node().OnDirective(directive);
    // Nothing runs, so none is destroyed; with this request, all jobs before it are former ones.
    CHECK(server.reports.size() == (number > ServerJobs::kMaxFormerJobs ? 0 : 1));
    const Heartbeat heartbeat = server.node().MakeHeartbeat();
    CHECK(LengthOf(heartbeat, "former jobs") == std::min(number - 1, ServerJobs::kMaxFormerJobs));
  }
  const Heartbeat heartbeat = server.node().MakeHeartbeat();
  REQUIRE(heartbeat.activities_size() == 1);
  CHECK(heartbeat.activities(0).job() == 8);
  CHECK_THAT(heartbeat.activities(0).detail(), Catch::Matchers::Contains("3 former jobs"));
  server.time.Run();  // the disk answers
  server.node().OnDirective(directive);
  REQUIRE(server.reports.size() == 1);
  CHECK(server.reports[0].job_prepared().job() == 8);
  CHECK(server.node().MakeHeartbeat().activities_size() == 0);
  CHECK(LengthOf(server.node().MakeHeartbeat(), "former jobs") == 0);
}

TEST_CASE("A closed job that somebody still holds writes, asks and reports nothing more") {
  TestServer server;
  const std::shared_ptr<ShardHost> job = server.JobWithPeer();
  job->AskNorms(ViewId(1), 1, RequestOf(0));
  server.peers.End(absl::UnavailableError("connection refused"));  // would be asked again after a while
  job->OnSnapshot(Snapshot(1));
  server.reports.clear();
  server.node().OnLeaseLost();
  server.time.RunFor(absl::Minutes(1));
  CHECK(server.reports.empty());
  CHECK(server.peers.calls.empty());
  CHECK_FALSE(server.faults.FileExists(server.dir / "checkpoints"));
}

TEST_CASE("A job whose last reference is held by its own thread is destroyed on another one") {
  ManualPeers peers;
  const PrepareJob request = Preparation(1);
  const auto shard_config = MakeShardConfig(JobId(1), request.spec(), request.plan(), kBlockElements);
  REQUIRE(shard_config.ok());
  ShardHost::Options options;
  options.env = PosixEnv();
  options.executors = NewThreadExecutor;
  options.peers = &peers;
  absl::Notification destroyed;
  options.report =
      [end = std::shared_ptr<void>(nullptr, [&](void*) { destroyed.Notify(); })](const NodeReport&) {};
  JobOwner owner(NewThreadExecutor);
  std::shared_ptr<ShardHost> job = owner.Own(std::make_unique<ShardHost>(std::move(options), *shard_config));
  absl::Notification let_go;
  job->Execute([last = job, &let_go] { let_go.WaitForNotification(); });
  job.reset();
  let_go.Notify();
  CHECK(destroyed.WaitForNotificationWithTimeout(absl::Seconds(30)));
}

TEST_CASE("A job whose disk hangs does not keep another one from being destroyed") {
  const TestDir dir;
  ManualPeers peers;
  FaultEnv env(PosixEnv(), {{"hung", 0, 0, kFaultHang}});
  const PrepareJob request = Preparation(1);
  const auto shard_config = MakeShardConfig(JobId(1), request.spec(), request.plan(), kBlockElements);
  REQUIRE(shard_config.ok());
  JobOwner owner(NewThreadExecutor);
  const auto make = [&](const std::string& folder, absl::Notification* destroyed) {
    ShardHost::Options options;
    options.self = NodeId(7);
    options.env = &env;
    options.checkpoint_dir = dir / folder;
    options.executors = NewThreadExecutor;
    options.peers = &peers;
    options.report =
        [end = std::shared_ptr<void>(nullptr, [=](void*) { destroyed->Notify(); })](const NodeReport&) {};
    return owner.Own(std::make_unique<ShardHost>(std::move(options), *shard_config));
  };
  absl::Notification first, second;
  std::shared_ptr<ShardHost> hung = make("hung", &first), other = make("other", &second);
  View view = MakeView(1);
  view.mutable_restore()->set_checkpoint(dir / "hung/version-0");
  REQUIRE(hung->Install(view).ok());
  REQUIRE(env.WaitForHang(absl::Seconds(30)));
  hung.reset();
  other.reset();
  CHECK(second.WaitForNotificationWithTimeout(absl::Seconds(30)));
  CHECK_FALSE(first.HasBeenNotified());
  env.SetRules({});
  CHECK(first.WaitForNotificationWithTimeout(absl::Seconds(30)));
}

}  // namespace
}  // namespace shoal::server
