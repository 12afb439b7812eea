#include "common/rpc/session_client.h"

#include "catch2/catch.hpp"
#include "common/base/fake_executor.h"

namespace shoal {
namespace {

// A scheduler that admits every node; the test decides what its streams deliver.
struct FakeScheduler {
  std::vector<NodeReport> reports;
  SchedulerStreamEvents* events = nullptr;
  int reads = 0;
};

class FakeStream : public SchedulerStream {
 public:
  FakeStream(FakeScheduler* scheduler, SchedulerStreamEvents* events) : scheduler_(scheduler) {
    scheduler_->events = events;
    scheduler_->reads = 1;
  }
  ~FakeStream() override { scheduler_->events = nullptr; }
  void Write(NodeReport report) override { scheduler_->reports.push_back(std::move(report)); }
  void ReadOn() override { ++scheduler_->reads; }

 private:
  FakeScheduler* const scheduler_;
};

class FakeLink : public SchedulerLink {
 public:
  FakeLink(FakeScheduler* scheduler, Executor* network) : scheduler_(scheduler), network_(network) {}
  void Join(const JoinRequest&, absl::Duration,
            std::function<void(absl::StatusOr<JoinResponse>)> done) override {
    network_->Post([done] {
      JoinResponse response;
      response.set_node_id(3);
      response.set_heartbeat_ms(100);
      done(response);
    });
  }
  std::unique_ptr<SchedulerStream> Open(const Hello&, SchedulerStreamEvents* events) override {
    return std::make_unique<FakeStream>(scheduler_, events);
  }

 private:
  FakeScheduler* const scheduler_;
  Executor* const network_;
};

struct Fixture {
  FakeTime time;
  std::unique_ptr<Executor> network = time.factory()("network");
  FakeScheduler scheduler;
  std::vector<std::string> calls;
  std::unique_ptr<SessionClient> client;

  Fixture() {
    SessionOptions options;
    options.executors = time.factory();
    options.link = [this] { return std::make_unique<FakeLink>(&scheduler, network.get()); };
    SessionCallbacks callbacks;
    callbacks.on_joined = [this](const JoinResponse&) { calls.push_back("joined"); };
    callbacks.on_session_opened = [this] { calls.push_back("opened"); };
    callbacks.on_directive = [this](const Directive& directive) {
      calls.push_back(std::to_string(directive.close_job().job()));
    };
    callbacks.on_lease_lost = [this] { calls.push_back("lost"); };
    callbacks.heartbeat = [] {
      Heartbeat heartbeat;
      heartbeat.add_activities()->set_kind(ACTIVITY_COMPUTE);
      return heartbeat;
    };
    client = std::make_unique<SessionClient>(std::move(options), std::move(callbacks));
    time.Run();
    scheduler.events->OnOpened();
    scheduler.events->OnWritten();
    time.Run();
  }
};

TEST_CASE(
    "A session client in simulated time joins, opens and sends heartbeats that say what the node does") {
  Fixture fixture;
  CHECK(fixture.calls == std::vector<std::string>{"joined", "opened"});
  CHECK(fixture.client->node_id() == 3);
  for (int i = 0; i < 3; ++i) {
    fixture.time.RunFor(absl::Milliseconds(100));
    fixture.scheduler.events->OnWritten();
  }
  REQUIRE(fixture.scheduler.reports.size() == 3);
  CHECK(fixture.scheduler.reports[2].heartbeat().activities(0).kind() == ACTIVITY_COMPUTE);
}

TEST_CASE("A heartbeat says how many reports wait for a scheduler that does not read them, and their bound") {
  Fixture fixture;
  NodeReport report;
  report.mutable_shard_progress();
  for (int i = 0; i < 4; ++i) fixture.client->Send(report);  // the first of them is being written
  fixture.time.RunFor(absl::Milliseconds(100));
  CHECK(fixture.scheduler.reports.size() == 1);
  for (int i = 0; i < 4; ++i) {
    fixture.scheduler.events->OnWritten();
    fixture.time.Run();
  }
  REQUIRE(fixture.scheduler.reports.size() == 5);
  const Heartbeat& heartbeat = fixture.scheduler.reports[4].heartbeat();
  REQUIRE(heartbeat.queues_size() == 1);
  CHECK(heartbeat.queues(0).name() == "reports");
  CHECK(heartbeat.queues(0).length() == 3);
  CHECK(heartbeat.queues(0).limit() == SessionCore::kMaxQueuedReports);
}

TEST_CASE("The next directive is read after the last was carried out, and none of a stream that has ended") {
  Fixture fixture;
  Directive directive;
  directive.mutable_close_job()->set_job(1);
  fixture.scheduler.events->OnDirective(directive);
  CHECK(fixture.scheduler.reads == 1);
  fixture.time.Run();
  CHECK(fixture.scheduler.reads == 2);
  CHECK(fixture.calls.back() == "1");
  fixture.scheduler.events->OnClosed(absl::UnavailableError("broken"));
  fixture.scheduler.events->OnDirective(directive);
  fixture.time.Run();
  CHECK(fixture.calls.size() == 3);
}

TEST_CASE("A node that leaves is handed no new job, and other directives as before") {
  Fixture fixture;
  fixture.client->StartLeaving();
  fixture.time.Run();
  Directive offer, close;
  offer.mutable_prepare_job()->set_job(1);
  close.mutable_close_job()->set_job(2);
  for (const Directive& directive : {offer, close}) {
    fixture.scheduler.events->OnDirective(directive);
    fixture.time.Run();
  }
  CHECK(fixture.scheduler.reads == 3);
  CHECK(fixture.calls == std::vector<std::string>{"joined", "opened", "2"});
  CHECK_FALSE(fixture.client->released());
  Directive released;
  released.mutable_released();
  fixture.scheduler.events->OnDirective(released);
  fixture.time.Run();
  CHECK(fixture.client->released());
}

TEST_CASE("A lease that has ended: state is dropped, then the node joins again") {
  Fixture fixture;
  fixture.time.RunFor(absl::Seconds(1));
  fixture.scheduler.events->OnClosed(absl::FailedPreconditionError("lease over"));
  fixture.time.Run();
  REQUIRE(fixture.calls.size() == 4);
  CHECK(fixture.calls[2] == "lost");
  CHECK(fixture.calls[3] == "joined");
}

TEST_CASE("A report made before the node has handled the new session does not precede the others") {
  Fixture fixture;
  NodeReport report;
  fixture.scheduler.events->OnClosed(absl::UnavailableError("broken"));
  fixture.time.RunFor(absl::Seconds(1));
  REQUIRE(fixture.scheduler.events != nullptr);
  fixture.scheduler.events->OnOpened();
  report.mutable_shard_progress()->set_version(7);
  fixture.client->Send(report);  // on_session_opened is still to come
  fixture.time.Run();
  REQUIRE(fixture.calls.back() == "opened");
  report.mutable_shard_progress()->set_version(8);
  fixture.client->Send(report);
  for (int i = 0; i < 3; ++i) {
    fixture.scheduler.events->OnWritten();
    fixture.time.Run();
  }
  std::vector<uint64_t> versions;
  for (const NodeReport& sent : fixture.scheduler.reports) {
    if (sent.has_shard_progress()) versions.push_back(sent.shard_progress().version());
  }
  CHECK(versions == std::vector<uint64_t>{8});
}

TEST_CASE("After Stop nothing is called") {
  Fixture fixture;
  SchedulerStreamEvents* const events = fixture.scheduler.events;
  Directive directive;
  directive.mutable_close_job()->set_job(1);
  events->OnDirective(directive);
  fixture.client->Stop();
  fixture.time.RunFor(absl::Seconds(10));
  CHECK(fixture.calls.size() == 2);
  CHECK(fixture.scheduler.reports.empty());
}

}  // namespace
}  // namespace shoal
