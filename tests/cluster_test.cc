// Scheduler, servers and workers in one process, over real gRPC on loopback, with a stand-in for the model:
// ThreadSanitizer must see them in one process.
#include <atomic>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "catch2/catch.hpp"
#include "common/base/random.h"
#include "common/base/release.h"
#include "common/base/timer_queue.h"
#include "common/job/job_spec.h"
#include "common/job/test_job.h"
#include "common/rpc/rpc.h"
#include "common/storage/test_dir.h"
#include "scheduler/scheduler_node.h"
#include "scheduler/scheduler_service.h"
#include "scheduler/sqlite_store.h"
#include "server/parameter_service.h"
#include "server/server_daemon.h"
#include "tools/shoal/scheduler_client.h"
#include "worker/worker_daemon.h"

namespace shoal {
namespace {

constexpr uint64_t kRounds = 40;
constexpr uint32_t kSlots = 4;
constexpr uint64_t kElements = 3000;
const std::vector<uint64_t> kGroups = {1800, 700, 500};

JobSpec MakeSpec() {
  JobSpec spec = TestSpec(kRounds, kSlots);
  spec.mutable_train()->set_slot_batch(2);
  spec.mutable_optimizer()->set_learning_rate(0.05);
  spec.mutable_optimizer()->set_clip_norm(1.0);
  spec.mutable_evaluation()->mutable_every()->set_epochs(1);
  spec.mutable_evaluation()->set_keep_best(false);
  spec.mutable_checkpoint()->mutable_every()->set_rounds(10);
  CompleteJob(&spec);
  return spec;
}

JobPlan MakePlan() {
  JobPlan plan;
  ParameterInfo& parameter = *plan.add_parameters();
  parameter.set_name("weight");
  parameter.add_shape(kElements);
  parameter.mutable_init()->set_kind(Initializer::ZEROS);
  for (uint64_t size : kGroups) plan.add_group_sizes(size);
  plan.set_rounds(kRounds);
  plan.set_rounds_per_epoch(20);
  plan.add_labels("a");
  plan.add_labels("b");
  plan.set_train_examples(20 * kSlots * 2);
  plan.set_validation_examples(kSlots);
  plan.set_test_examples(kSlots);
  plan.set_numerics("f32");
  return plan;
}

// The gradient points somewhere else in each slot and round, so a wrong round or slot shows in the bits.
class TestProgram : public worker::Program {
 public:
  absl::Status RunSlot(const worker::SlotTask& task) override {
    uint64_t at = 0;
    for (size_t group = 0; group < kGroups.size(); ++group) {
      if (!task.wait_group(static_cast<int>(group))) return absl::CancelledError("not wanted");
      for (const uint64_t end = at + kGroups[group]; at < end; ++at) {
        const uint64_t number = (at * 7 + task.slot.value() * 13 + task.round.value() * 3) % 101;
        task.gradient[at] = 2.0f * (task.theta[at] - static_cast<float>(number) / 50.0f);
      }
    }
    ContributionStats stats;
    stats.set_weight(2);
    stats.set_examples(2);
    task.set_stats(stats);
    for (int group = static_cast<int>(kGroups.size()) - 1; group >= 0; --group) task.group_final(group);
    return absl::OkStatus();
  }
  absl::StatusOr<EvaluationStatistics> EvaluateSlot(const worker::EvaluationTask& task) override {
    EvaluationStatistics statistics;
    statistics.set_examples(1);
    statistics.set_loss(std::fabs(task.theta[task.slot.value()]));
    for (uint64_t count : {1, 0, 0, 0}) statistics.add_confusion(count);
    return statistics;
  }
};

class TestBuilder : public worker::ProgramBuilder {
 public:
  absl::StatusOr<worker::DerivedJob> Derive(const JobSpec&, const Progress&) override {
    worker::DerivedJob derived;
    derived.plan = MakePlan();
    derived.artifacts["dataset"] = std::string(300 << 10, 'x');  // several chunks
    return derived;
  }
  absl::StatusOr<std::unique_ptr<worker::Program>> Build(const JobSpec&, const JobPlan&,
                                                         const std::map<std::string, std::string>&,
                                                         const Progress&) override {
    return std::make_unique<TestProgram>();
  }
};

template <typename T>
T Value(absl::StatusOr<T> result) {
  INFO(result.status());
  REQUIRE(result.ok());
  return *std::move(result);
}

// Each of these starts like its daemon's main, and ends without `Leaving`, which looks like a crash to the
// others.
class TestScheduler {
 public:
  explicit TestScheduler(const std::string& folder, const std::string& address = "127.0.0.1:0")
      : node_(Value(scheduler::SchedulerNode::Start(OptionsIn(folder)))), service_(node_.get()) {
    ServerOptions options;
    options.address = address;
    options.services = {&service_};
    server_ = Value(StartServer(options));
  }
  ~TestScheduler() {
    node_->Stop();
    server_->Shutdown(absl::Seconds(2));
  }
  const std::string& address() const { return server_->address(); }

 private:
  static scheduler::SchedulerNode::Options OptionsIn(const std::string& folder) {
    scheduler::SchedulerNode::Options options;
    REQUIRE(PosixEnv()->CreateDirs(folder).ok());
    options.store = Value(scheduler::OpenSqliteStore(folder + "/scheduler.sqlite"));
    options.artifact_dir = folder + "/artifacts";
    options.executors = NewThreadExecutor;
    options.core.new_cluster_id = folder;
    options.core.checkpoint_root = folder + "/checkpoints";
    options.env = PosixEnv();
    return options;
  }

  std::unique_ptr<scheduler::SchedulerNode> node_;
  scheduler::SchedulerServiceImpl service_;
  std::unique_ptr<RpcServer> server_;
};

SessionOptions SessionOf(const std::string& scheduler, NodeRole role) {
  SessionOptions session;
  session.channel = NewChannel(scheduler);
  session.scheduler = scheduler;
  session.executors = NewThreadExecutor;
  session.join.set_protocol_version(kProtocolVersion);
  session.join.set_role(role);
  session.join.set_incarnation(DrawRandom());
  session.join.set_threads(1);
  return session;
}

class TestServer {
 public:
  TestServer(const std::string& scheduler, const std::string& folder)
      : node_({NewChannel(scheduler), folder, 2, PosixEnv()}),
        service_([this](JobId job) { return node_.Find(job); }) {
    ServerOptions options;
    options.address = "127.0.0.1:0";
    options.services = {&service_};
    server_ = Value(StartServer(options));
    SessionOptions session = SessionOf(scheduler, NODE_ROLE_SERVER);
    session.join.set_address(server_->address());
    node_.Join(std::move(session));
  }
  ~TestServer() { server_->Shutdown(absl::Milliseconds(200)); }

 private:
  server::ServerDaemon node_;
  server::ParameterServiceImpl service_;
  std::unique_ptr<RpcServer> server_;
};

std::unique_ptr<worker::WorkerDaemon> StartWorker(const std::string& scheduler, const std::string& folder) {
  worker::WorkerDaemon::Options options;
  options.session = SessionOf(scheduler, NODE_ROLE_WORKER);
  options.work_dir = folder;
  options.env = PosixEnv();
  return std::make_unique<worker::WorkerDaemon>(std::move(options), std::make_unique<TestBuilder>());
}

// The listening sockets of this process.
std::set<std::string> ListeningSockets() {
  std::set<std::string> listening, ours;
  for (const char* table : {"/proc/self/net/tcp", "/proc/self/net/tcp6"}) {
    std::ifstream file(table);
    REQUIRE(file);
    for (std::string line; std::getline(file, line);) {
      const std::vector<std::string> fields = absl::StrSplit(line, ' ', absl::SkipWhitespace());
      constexpr char kListen[] = "0A";
      if (fields.size() > 9 && fields[3] == kListen)
        listening.insert(absl::StrCat("socket:[", fields[9], "]"));
    }
  }
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code gone;  // the folder's own descriptor
    const std::string target = std::filesystem::read_symlink(entry.path(), gone);
    if (listening.count(target) > 0) ours.insert(target);
  }
  return ours;
}

int64_t CountThreads() {
  const std::filesystem::directory_iterator tasks("/proc/self/task"), end;
  return std::distance(tasks, end);
}

JobId Submit(const std::string& scheduler, int servers, int workers) {
  SubmitJobRequest request;
  *request.mutable_spec() = MakeSpec();
  request.mutable_spec()->mutable_cluster()->set_min_servers(servers);
  request.mutable_spec()->mutable_cluster()->set_min_workers(workers);
  return Value(tools::SchedulerClient(scheduler).Submit(request));
}

// Follows the job to its end.
Job Follow(const std::string& scheduler, JobId job, const std::function<void(const JobEvent&)>& on_event) {
  tools::SchedulerClient client(scheduler);
  const absl::Time deadline = absl::Now() + absl::Seconds(100);
  uint64_t after = 0;
  while (true) {
    const absl::Status status = client.Watch(job, &after, absl::Seconds(1), [&](const JobEvent& event) {
      on_event(event);
      return true;
    });
    if (status.ok()) return Value(client.GetJob(job));
    INFO(status);
    REQUIRE(absl::IsUnavailable(status));
    REQUIRE(absl::Now() < deadline);
  }
}

// Submits a job and follows it to its end.
Job RunJob(
    const std::string& scheduler, int servers, int workers,
    const std::function<void(const JobEvent&)>& on_event = [](const JobEvent&) {}) {
  return Follow(scheduler, Submit(scheduler, servers, workers), on_event);
}

// Trains on `servers` servers and `workers` workers. With `disturb`, one worker crashes midway and another
// leaves and is replaced.
Job Train(int servers, int workers, bool disturb) {
  const TestDir dir;
  TestScheduler scheduler(dir / "state");
  std::vector<std::unique_ptr<TestServer>> all_servers;
  std::vector<std::unique_ptr<worker::WorkerDaemon>> all_workers;
  for (int i = 0; i < servers; ++i)
    all_servers.push_back(std::make_unique<TestServer>(scheduler.address(), dir / absl::StrCat("s", i)));
  for (int i = 0; i < workers; ++i)
    all_workers.push_back(StartWorker(scheduler.address(), dir / absl::StrCat("w", i)));

  return RunJob(scheduler.address(), servers, workers, [&](const JobEvent& event) {
    if (std::exchange(disturb, disturb && event.checkpoint() < 10) == disturb) return;
    all_workers[0].reset();
    all_workers[1]->Leave(absl::Seconds(10));
    all_workers[1] = StartWorker(scheduler.address(), dir / "w1");
  });
}

TEST_CASE("A cluster in one process trains to the same bits, also when workers crash, leave and join") {
  const Job alone = Train(1, 1, false);
  INFO(alone.reason());
  REQUIRE(alone.state() == JOB_STATE_COMPLETED);
  REQUIRE(alone.result().version() == kRounds);
  const Job disturbed = Train(2, 3, true);
  INFO(disturbed.reason());
  REQUIRE(disturbed.state() == JOB_STATE_COMPLETED);
  CHECK(disturbed.view().view() > 2);
  CHECK(disturbed.result().parameters_sha256() == alone.result().parameters_sha256());
}

TEST_CASE("Nodes whose scheduler has lost its store join the new cluster, and train there") {
  const TestDir dir;
  auto first = std::make_unique<TestScheduler>(dir / "first");
  const std::string address = first->address();
  const auto worker = StartWorker(address, dir / "w");
  const TestServer server(address, dir / "s");
  tools::SchedulerClient client(address);
  const absl::Time deadline = absl::Now() + absl::Seconds(30);
  while (Value(client.GetStatus()).nodes_size() < 2) REQUIRE(absl::Now() < deadline);
  first.reset();
  const TestScheduler second(dir / "second", address);
  const Job job = RunJob(address, 1, 1);
  INFO(job.reason());
  CHECK(job.state() == JOB_STATE_COMPLETED);
  CHECK(Value(client.GetStatus()).nodes_size() == 2);
}

// Two servers and three workers that crash, leave and are replaced.
class ChangingCluster {
 public:
  ChangingCluster() {
    for (auto& server : servers_) server = NewServer();
    for (auto& worker : workers_) worker = NewWorker();
  }
  const std::string& address() const { return scheduler_.address(); }

  // Causes the `number`-th kind of disturbance (modulo their number).
  void Disturb(JobId job, int number) {
    switch (number % 4) {
      case 0:
        REQUIRE(tools::SchedulerClient(address()).Cancel(job).ok());
        break;
      case 1:  // a worker crashes
        workers_[number % 3] = nullptr;
        workers_[number % 3] = NewWorker();
        break;
      case 2:  // one leaves
        workers_[number % 3]->Leave(absl::Seconds(10));
        workers_[number % 3] = NewWorker();
        break;
      default:  // a server crashes
        servers_[number % 2] = nullptr;
        servers_[number % 2] = NewServer();
    }
  }

 private:
  std::string NewFolder() { return dir_ / absl::StrCat("node-", started_++); }
  std::unique_ptr<TestServer> NewServer() { return std::make_unique<TestServer>(address(), NewFolder()); }
  std::unique_ptr<worker::WorkerDaemon> NewWorker() { return StartWorker(address(), NewFolder()); }

  const TestDir dir_;
  int started_ = 0;
  TestScheduler scheduler_{dir_ / "state"};
  std::unique_ptr<TestServer> servers_[2];
  std::unique_ptr<worker::WorkerDaemon> workers_[3];
};

// A client that watches the job and disconnects, again and again, until it is destroyed.
class Onlooker {
 public:
  Onlooker(const std::string& scheduler, JobId job)
      : thread_([this, scheduler, job] {
          tools::SchedulerClient client(scheduler);
          for (uint64_t after = 0; !stopped_.load();) {
            (void)client.Watch(job, &after, absl::Milliseconds(100), [](const JobEvent&) { return false; });
          }
        }) {}
  ~Onlooker() {
    stopped_ = true;
    thread_.join();
  }

 private:
  std::atomic<bool> stopped_{false};
  std::thread thread_;
};

TEST_CASE("Jobs are cancelled, nodes crash, leave and join, again and again: what ends has the same bits") {
  ChangingCluster cluster;
  std::set<std::string> results;
  for (int number = 0; number < 12; ++number) {
    const JobId job = Submit(cluster.address(), 2, 3);
    const Onlooker onlooker(cluster.address(), job);
    int events = 0;
    const Job ended = Follow(cluster.address(), job, [&](const JobEvent& event) {
      if (event.sequence() > 0 && ++events == 3 + number % 8) cluster.Disturb(job, number);
    });
    INFO("job " << number << ": " << ended.reason());
    REQUIRE(ended.state() == (number % 4 == 0 ? JOB_STATE_CANCELLED : JOB_STATE_COMPLETED));
    if (ended.state() == JOB_STATE_COMPLETED) results.insert(ended.result().parameters_sha256());
  }
  CHECK(results.size() == 1);
}

TEST_CASE("A cluster that is over leaves no thread and no port") {
  Train(1, 2, false);  // gRPC's own threads stay
  const int64_t threads = CountThreads();
  for (int i = 0; i < 2; ++i) REQUIRE(Train(1, 2, false).state() == JOB_STATE_COMPLETED);
  CHECK(ListeningSockets().empty());
  const absl::Time deadline = absl::Now() + absl::Seconds(30);  // gRPC ends some of its threads later
  while (CountThreads() > threads) REQUIRE(absl::Now() < deadline);
}

}  // namespace
}  // namespace shoal
