#include "scheduler/scheduler_node.h"

#include <sys/resource.h>

#include <algorithm>
#include <csignal>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "catch2/catch.hpp"
#include "common/base/fake_executor.h"
#include "common/base/release.h"
#include "common/base/sha256.h"
#include "common/job/test_job.h"
#include "common/protocol/queue_length.h"
#include "common/storage/checkpoint.h"
#include "common/storage/fault_env.h"
#include "common/storage/test_dir.h"
#include "scheduler/directive_queue.h"
#include "scheduler/memory_store.h"
#include "scheduler/sqlite_store.h"

namespace shoal::scheduler {
namespace {

class FakeSession : public SessionStream {
 public:
  void Send(const Directive& directive) override { directives.push_back(directive); }
  void End(const absl::Status& status) override { ended = status; }
  size_t unread_bytes() const override { return unread; }
  std::vector<Directive> directives;
  size_t unread = 0;
  std::optional<absl::Status> ended;
};

// A scheduler in simulated time, its store in memory.
struct Fixture {
  TestDir dir;
  FakeTime time;
  StoredTables tables;
  FaultEnv env{PosixEnv()};
  MemoryStore* store = nullptr;
  std::unique_ptr<SchedulerNode> node;

  Fixture() { Restart(); }
  void Restart() {
    node.reset();
    auto memory = std::make_unique<MemoryStore>(&tables);
    store = memory.get();
    SchedulerNode::Options options;
    options.store = std::move(memory);
    options.artifact_dir = dir / "artifacts";
    options.env = &env;
    options.executors = time.factory();
    auto started = SchedulerNode::Start(std::move(options));
    REQUIRE(started.ok());
    node = *std::move(started);
  }
  JoinRequest Request(const std::string& name, uint64_t incarnation) const {
    JoinRequest request;
    request.set_protocol_version(kProtocolVersion);
    request.set_role(NODE_ROLE_WORKER);
    request.set_name(name);
    request.set_incarnation(incarnation);
    return request;
  }
  Hello HelloOf(const JoinRequest& request, const JoinResponse& response) const {
    Hello hello;
    hello.set_node_id(response.node_id());
    *hello.mutable_join() = request;
    hello.mutable_join()->set_cluster_id(response.cluster_id());
    return hello;
  }
};

SubmitJobRequest SubmitRequest(const std::string& id) {
  SubmitJobRequest request;
  request.set_request_id(id);
  *request.mutable_spec() = TestSpec(20, 4);
  return request;
}

struct FakeWatcher : JobWatcher {
  void OnHistory() override {}
  void OnProgress(const JobEvent&) override {}
};

TEST_CASE(
    "A scheduler in simulated time ends the lease of a node that is silent, and ticks by no other clock") {
  FakeSession session;  // outlives the node, which ends it
  Fixture fixture;
  const JoinRequest request = fixture.Request("worker-1", 1);
  const auto joined = fixture.node->Join(request);
  REQUIRE(joined.ok());
  REQUIRE(fixture.node->OpenSession(fixture.HelloOf(request, *joined), &session).ok());
  fixture.time.RunFor(absl::Seconds(2));
  CHECK_FALSE(session.ended);
  fixture.time.RunFor(absl::Seconds(2));
  REQUIRE(session.ended);
  CHECK(absl::IsFailedPrecondition(*session.ended));
}

TEST_CASE("A node's new session ends its former one") {
  FakeSession first, second;  // outlive the node, which ends them
  Fixture fixture;
  const JoinRequest request = fixture.Request("worker-1", 1);
  const auto joined = fixture.node->Join(request);
  REQUIRE(joined.ok());
  REQUIRE(fixture.node->OpenSession(fixture.HelloOf(request, *joined), &first).ok());
  REQUIRE(fixture.node->OpenSession(fixture.HelloOf(request, *joined), &second).ok());
  REQUIRE(first.ended);
  CHECK(absl::IsAborted(*first.ended));
  fixture.node->SessionOver(NodeId(joined->node_id()), &first);
  CHECK_FALSE(second.ended);
  fixture.time.RunFor(absl::Seconds(1));  // longer than the grace: the node still has a session
  CHECK(fixture.node->GetStatus()->nodes_size() == 1);
}

TEST_CASE("A report that comes late, of a session that is over, is refused and changes nothing") {
  FakeSession first, second;  // outlive the node, which ends them
  Fixture fixture;
  const JoinRequest request = fixture.Request("worker-1", 1);
  const auto joined = fixture.node->Join(request);
  REQUIRE(joined.ok());
  const NodeId node(joined->node_id());
  const Hello hello = fixture.HelloOf(request, *joined);
  NodeReport report;
  AddQueue("snapshots", 2, 3, report.mutable_heartbeat()->mutable_queues());
  const auto queues = [&] { return fixture.node->GetStatus()->nodes(0).queues_size(); };
  CHECK(absl::IsAborted(fixture.node->Report(node, &first, report)));
  REQUIRE(fixture.node->OpenSession(hello, &first).ok());
  REQUIRE(fixture.node->OpenSession(hello, &second).ok());
  CHECK(absl::IsAborted(fixture.node->Report(node, &first, report)));
  CHECK(queues() == 0);
  fixture.node->SessionOver(node, &first);
  CHECK(fixture.node->Report(node, &second, report).ok());
  CHECK(queues() == 1);
  fixture.node->SessionOver(node, &second);
  CHECK(absl::IsAborted(fixture.node->Report(node, &second, report)));
}

// The status's queue `name`.
const QueueLength& QueueOf(const ClusterStatus& status, const std::string& name) {
  for (const QueueLength& queue : status.queues()) {
    if (queue.name() == name) return queue;
  }
  FAIL("there is no " << name);
  return status.queues(0);
}

TEST_CASE("The status says what each node has not read, and how long the scheduler's own queues are") {
  FakeSession session;  // outlives the node, which ends it
  FakeWatcher watcher;
  Fixture fixture;
  const JoinRequest request = fixture.Request("worker-1", 1);
  const auto joined = fixture.node->Join(request);
  REQUIRE(joined.ok());
  REQUIRE(fixture.node->Join(fixture.Request("worker-2", 2)).ok());  // it has no session
  REQUIRE(fixture.node->OpenSession(fixture.HelloOf(request, *joined), &session).ok());
  session.unread = 5000;
  const auto job = fixture.node->Submit(SubmitRequest("watched"));
  REQUIRE(job.ok());
  REQUIRE(fixture.node->Watch(*job, 0, &watcher).ok());
  NodeReport report;
  AddQueue("snapshots", 2, 3, report.mutable_heartbeat()->mutable_queues());
  REQUIRE(fixture.node->Report(NodeId(joined->node_id()), &session, report).ok());

  const auto status = fixture.node->GetStatus();
  REQUIRE(status->nodes_size() == 2);
  const NodeStatus &first = status->nodes(0), &second = status->nodes(1);
  CHECK(first.unread_directive_bytes() == 5000);
  CHECK(first.max_unread_directive_bytes() == DirectiveQueue::kMaxUnreadBytes);
  REQUIRE(first.queues_size() == 1);
  CHECK(first.queues(0).name() == "snapshots");
  CHECK(first.queues(0).length() == 2);
  CHECK(second.unread_directive_bytes() == 0);
  CHECK(QueueOf(*status, "watchers").length() == 1);
  CHECK(QueueOf(*status, "watchers").limit() == SchedulerNode::kMaxWatchers);
  CHECK(QueueOf(*status, "unfinished jobs").length() == 1);
  CHECK(QueueOf(*status, "unfinished jobs").limit() == SchedulerCore::kMaxWaitingJobs);
  CHECK(QueueOf(*status, "leftovers to delete").length() == 0);
  fixture.node->Unwatch(*job, &watcher);
}

TEST_CASE("After a failed write to the store, nothing is answered or done") {
  FakeSession session;  // outlives the node, which ends it
  Fixture fixture;
  const JoinRequest request = fixture.Request("worker-1", 1);
  const auto joined = fixture.node->Join(request);
  REQUIRE(joined.ok());
  const StoredTables before = fixture.tables;
  fixture.store->FailWith(absl::ResourceExhaustedError("disk full"));
  CHECK(absl::IsResourceExhausted(fixture.node->Join(fixture.Request("worker-2", 2)).status()));
  CHECK(absl::IsResourceExhausted(fixture.node->OpenSession(fixture.HelloOf(request, *joined), &session)));
  CHECK(absl::IsResourceExhausted(fixture.node->Cancel(JobId(1))));
  CHECK(absl::IsResourceExhausted(fixture.node->Submit(SubmitJobRequest()).status()));
  CHECK(absl::IsResourceExhausted(fixture.node->GetStatus().status()));
  CHECK(absl::IsResourceExhausted(fixture.node->ListJobs().status()));
  CHECK(absl::IsResourceExhausted(fixture.node->GetJob(JobId(1)).status()));
  CHECK(absl::IsResourceExhausted(fixture.node->ReadEvents(JobId(1), 0).status()));
  CHECK(absl::IsResourceExhausted(fixture.node->WaitFailed(absl::ZeroDuration())));
  CHECK(session.directives.empty());
  CHECK(fixture.tables == before);
}

TEST_CASE("A repeated request gets its job, whatever has become of the checkpoint that it starts from") {
  Fixture fixture;
  SubmitJobRequest request = SubmitRequest("again");
  const auto job = fixture.node->Submit(request);
  INFO(job.status());
  REQUIRE(job.ok());
  request.set_resume_from(fixture.dir / "version-10");  // gone by now
  CHECK(fixture.node->Submit(request).value() == *job);
  request.mutable_spec()->set_name("another");
  CHECK(absl::IsAlreadyExists(fixture.node->Submit(request).status()));
  request.set_request_id("new");
  CHECK(absl::IsNotFound(fixture.node->Submit(request).status()));
}

TEST_CASE("Who has followed a job further than an older store knows goes on from that store's end") {
  FakeWatcher watcher;
  Fixture fixture;
  const auto job = fixture.node->Submit(SubmitRequest("followed"));
  REQUIRE(job.ok());
  const auto events = fixture.node->ReadEvents(*job, 0);
  REQUIRE(events.ok());
  const uint64_t last = events->events.back().sequence();
  const uint64_t seen = GENERATE(uint64_t{0}, uint64_t{1}, uint64_t{1000});
  const auto from = fixture.node->Watch(*job, seen, &watcher);
  REQUIRE(from.ok());
  CHECK(*from == std::min(seen, last));
  REQUIRE(fixture.node->Cancel(*job).ok());
  CHECK_FALSE(fixture.node->ReadEvents(*job, *from)->events.empty());
  fixture.node->Unwatch(*job, &watcher);
}

TEST_CASE("Clients beyond the maximum number of watchers are refused until one has left") {
  std::vector<FakeWatcher> watchers(SchedulerNode::kMaxWatchers);
  FakeWatcher another;
  Fixture fixture;
  const JobId job = *fixture.node->Submit(SubmitRequest("watched"));
  for (FakeWatcher& watcher : watchers) REQUIRE(fixture.node->Watch(job, 0, &watcher).ok());
  CHECK(absl::IsResourceExhausted(fixture.node->Watch(job, 0, &another).status()));
  fixture.node->Unwatch(job, &watchers[3]);
  CHECK(fixture.node->Watch(job, 0, &another).ok());
}

TEST_CASE("A folder of checkpoints has one name, however it is written") {
  Fixture fixture;
  SubmitJobRequest request = SubmitRequest("first");
  request.set_checkpoint_dir(fixture.dir / "x/../checkpoints//");
  const auto job = fixture.node->Submit(request);
  INFO(job.status());
  REQUIRE(job.ok());
  CHECK(fixture.node->GetJob(*job)->checkpoint_dir() == fixture.dir / "checkpoints");
  request.set_request_id("second");
  request.set_checkpoint_dir(fixture.dir / "checkpoints");
  CHECK_FALSE(fixture.node->Submit(request).ok());
}

TEST_CASE("A job that names no folder does not get one that holds another store's checkpoints") {
  Fixture fixture;
  const auto first = fixture.node->Submit(SubmitRequest("first"));
  REQUIRE(first.ok());
  const std::string folder = fixture.node->GetJob(*first)->checkpoint_dir();
  CHECK_THAT(folder, Catch::Matchers::EndsWith("/job-1"));
  REQUIRE(PosixEnv()->CreateDirs(JoinPath(DirName(folder), "job-2/version-5")).ok());
  REQUIRE(PosixEnv()->WriteFileAtomic(JoinPath(DirName(folder), "job-2/version-5/manifest.json"), "").ok());
  const auto second = fixture.node->Submit(SubmitRequest("second"));
  REQUIRE(second.ok());
  CHECK_THAT(fixture.node->GetJob(*second)->checkpoint_dir(), Catch::Matchers::EndsWith("/job-2-2"));
}

TEST_CASE("An artifact that is damaged is deleted when it is requested, and is not passed off as intact") {
  Fixture fixture;
  const std::string bytes(3 << 20, 'x'), digest = Sha256Hex(bytes);
  size_t given = 0;
  REQUIRE(fixture.node->artifacts()
              .Put(digest, bytes.size(),
                   [&](std::string* piece) {
                     *piece = bytes.substr(given, 1 << 20);
                     given += piece->size();
                     return !piece->empty();
                   })
              .ok());
  std::string got;
  const auto take = [&](uint64_t size, absl::string_view piece) {
    CHECK(size == bytes.size());
    absl::StrAppend(&got, piece);
    return true;
  };
  CHECK(fixture.node->SendArtifact(digest, take).ok());
  CHECK(got == bytes);
  const std::string path = fixture.node->artifacts().PathOf(digest);
  std::string damaged = bytes;
  damaged[12345] ^= 1;
  REQUIRE(PosixEnv()->WriteFileAtomic(path, damaged).ok());
  CHECK(absl::IsDataLoss(fixture.node->SendArtifact(digest, take)));
  CHECK(absl::IsNotFound(fixture.node->SendArtifact(digest, take)));
}

TEST_CASE("An artifact that can't be read for a while is not deleted") {
  Fixture fixture;
  const std::string digest = Sha256Hex("abcdef");
  REQUIRE(fixture.node->artifacts()
              .Put(digest, 6,
                   [given = false](std::string* piece) mutable {
                     *piece = "abcdef";
                     return !std::exchange(given, true);
                   })
              .ok());
  FaultRule rule;
  rule.path_contains = digest;
  rule.nth_operation = 1;
  rule.error = EIO;
  fixture.env.SetRules({rule, rule});  // the first two attempts to open it
  const auto take = [](uint64_t, absl::string_view) { return true; };
  CHECK(IsUnreadable(fixture.node->SendArtifact(digest, take)));
  CHECK(fixture.node->SendArtifact(digest, take).ok());
}

// While it exists, no file of this process can grow.
class FullDisk {
 public:
  FullDisk() {
    REQUIRE(getrlimit(RLIMIT_FSIZE, &former_) == 0);
    former_action_ = std::signal(SIGXFSZ, SIG_IGN);
    const rlimit none = {1, former_.rlim_max};
    REQUIRE(setrlimit(RLIMIT_FSIZE, &none) == 0);
  }
  ~FullDisk() {
    setrlimit(RLIMIT_FSIZE, &former_);
    std::signal(SIGXFSZ, former_action_);
  }

 private:
  rlimit former_;
  void (*former_action_)(int);
};

TEST_CASE("A node for which the disk has no room is not admitted, and is unknown after a restart", "[disk]") {
  const TestDir dir;
  FakeTime time;
  const auto start = [&] {
    SchedulerNode::Options options;
    auto store = OpenSqliteStore(dir / "scheduler.sqlite");
    REQUIRE(store.ok());
    options.store = *std::move(store);
    options.artifact_dir = dir / "artifacts";
    options.env = PosixEnv();
    options.executors = time.factory();
    return std::move(SchedulerNode::Start(std::move(options)).value());
  };
  JoinRequest request;
  request.set_protocol_version(kProtocolVersion);
  request.set_role(NODE_ROLE_WORKER);
  request.set_name("first");
  {
    const auto node = start();
    REQUIRE(node->Join(request).ok());
    request.set_name("second");
    const FullDisk full;
    CHECK_FALSE(node->Join(request).ok());
    CHECK_FALSE(node->Cancel(JobId(1)).ok());
    CHECK_FALSE(node->WaitFailed(absl::ZeroDuration()).ok());
  }
  const auto node = start();
  REQUIRE(node->GetStatus()->nodes_size() == 1);
  CHECK(node->GetStatus()->nodes(0).node().name() == "first");
}

}  // namespace
}  // namespace shoal::scheduler
