#include "tools/bench/loopback_servers.h"

#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>
#include <iostream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/base/timer_queue.h"
#include "common/job/job_spec.h"

namespace shoal::bench {
namespace {

constexpr uint64_t kEndless = 1000000;  // rounds of the job: more than a benchmark runs

JobSpec MakeSpec(const BenchJobOptions& options) {
  JobSpec spec;
  spec.set_name("bench");
  spec.set_task(TASK_TEXT_CLASSIFICATION);
  spec.mutable_data()->add_files("none.tsv");
  spec.mutable_data()->add_text("text");
  spec.mutable_data()->set_label("label");
  spec.mutable_train()->set_rounds(kEndless);
  spec.mutable_train()->set_slots(options.slots);
  spec.mutable_train()->set_wire(options.wire);
  spec.mutable_optimizer()->set_type(OPTIMIZER_TYPE_SGD);
  spec.mutable_optimizer()->set_learning_rate(1e-3);
  spec.mutable_evaluation()->mutable_every()->set_never(true);
  spec.mutable_checkpoint()->mutable_every()->set_never(true);
  CompleteJob(&spec);
  return spec;
}

JobPlan MakePlan(absl::Span<const uint64_t> group_sizes) {
  JobPlan plan;
  uint64_t offset = 0;
  for (uint64_t size : group_sizes) {
    ParameterInfo& parameter = *plan.add_parameters();
    parameter.set_name(absl::StrCat("theta.", plan.group_sizes_size()));
    parameter.add_shape(size);
    parameter.set_offset(offset);
    parameter.mutable_init()->set_kind(Initializer::ONES);
    plan.add_group_sizes(size);
    offset += size;
  }
  plan.set_rounds(kEndless);
  plan.set_rounds_per_epoch(1);
  return plan;
}

}  // namespace

absl::StatusOr<WireFormat> ParseWire(const std::string& name) {
  if (name == "f32") return WIRE_FORMAT_F32;
  if (name == "bf16") return WIRE_FORMAT_BF16;
  if (name == "f16") return WIRE_FORMAT_F16;
  return absl::InvalidArgumentError(absl::StrCat("--wire ", name, ": expected f32, bf16 or f16"));
}

absl::StatusOr<std::shared_ptr<const server::ShardConfig>> MakeBenchJob(const BenchJobOptions& options) {
  return server::MakeShardConfig(JobId(1), MakeSpec(options), MakePlan(options.group_sizes));
}

LoopbackServers::Server::~Server() {
  if (job != nullptr) job->Close();
  if (rpc != nullptr) rpc->Shutdown(absl::ZeroDuration());
}

absl::StatusOr<std::unique_ptr<LoopbackServers::Server>> LoopbackServers::StartOne(
    int index, const std::shared_ptr<const server::ShardConfig>& shard_config) {
  auto server = std::make_unique<Server>();
  server::ShardHost::Options options;
  options.self = NodeId(index + 1);
  options.env = PosixEnv();
  options.executors = NewThreadExecutor;
  options.report = [installed = &server->installed](const NodeReport& report) {
    if (report.has_view_installed()) installed->Notify();
  };
  server->job = std::make_shared<server::ShardHost>(std::move(options), shard_config);
  server->service = std::make_unique<server::ParameterServiceImpl>(
      [job = server->job](JobId) -> absl::StatusOr<std::shared_ptr<server::ShardHost>> { return job; });
  ServerOptions rpc;
  rpc.address = "127.0.0.1:0";
  rpc.services = {server->service.get()};
  SHOAL_ASSIGN_OR_RETURN(server->rpc, StartServer(rpc));
  return server;
}

absl::StatusOr<std::unique_ptr<LoopbackServers>> LoopbackServers::Start(
    int count, const std::shared_ptr<const server::ShardConfig>& job) {
  auto servers = std::make_unique<LoopbackServers>();
  for (int i = 0; i < count; ++i) {
    SHOAL_ASSIGN_OR_RETURN(std::unique_ptr<Server> server, StartOne(i, job));
    servers->servers_.push_back(std::move(server));
  }
  return servers;
}

View LoopbackServers::MakeView() const {
  View view;
  view.set_job(1);
  view.set_view(1);
  view.set_training_id(1);
  view.mutable_restore()->set_restore_id(1);
  for (size_t i = 0; i < servers_.size(); ++i) {
    NodeRef& node = *view.add_shards()->mutable_primary();
    node.set_node_id(i + 1);
    node.set_address(servers_[i]->rpc->address());
  }
  return view;
}

void LoopbackServers::Install(const View& view) {
  for (const auto& server : servers_) SHOAL_CHECK_OK(server->job->Install(view));
  for (const auto& server : servers_) server->installed.WaitForNotification();
}

namespace {

// Runs in the child process: serves until `lifeline` is closed.
absl::Status Serve(int count, const std::shared_ptr<const server::ShardConfig>& job, int lifeline,
                   int to_parent) {
  SHOAL_ASSIGN_OR_RETURN(const std::unique_ptr<LoopbackServers> servers, LoopbackServers::Start(count, job));
  const View view = servers->MakeView();
  servers->Install(view);
  if (!view.SerializeToFileDescriptor(to_parent)) return absl::ErrnoToStatus(errno, "pipe");
  close(to_parent);
  char byte;
  while (read(lifeline, &byte, 1) < 0 && errno == EINTR) {
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<ServerProcess>> ServerProcess::Start(
    int count, const std::shared_ptr<const server::ShardConfig>& job) {
  int lifeline[2], from_child[2];
  if (pipe(lifeline) != 0 || pipe(from_child) != 0) return absl::ErrnoToStatus(errno, "pipe");
  std::unique_ptr<ServerProcess> process(new ServerProcess);
  process->pid_ = fork();
  if (process->pid_ < 0) return absl::ErrnoToStatus(errno, "fork");
  if (process->pid_ == 0) {
    close(lifeline[1]);
    close(from_child[0]);
    const absl::Status status = Serve(count, job, lifeline[0], from_child[1]);
    if (!status.ok()) std::cerr << "shoal-bench: the servers: " << status << "\n";
    _exit(status.ok() ? 0 : 1);
  }
  close(lifeline[0]);
  close(from_child[1]);
  process->lifeline_ = lifeline[1];
  const bool started = process->view_.ParseFromFileDescriptor(from_child[0]);
  close(from_child[0]);
  if (!started || process->view_.shards_size() != count)
    return absl::InternalError("the servers did not start");
  return process;
}

ServerProcess::~ServerProcess() {
  if (lifeline_ >= 0) close(lifeline_);
  if (pid_ > 0) waitpid(pid_, nullptr, 0);
}

double ServerProcess::CpuSeconds() const {
  clockid_t clock;
  timespec time = {};
  if (clock_getcpuclockid(pid_, &clock) != 0 || clock_gettime(clock, &time) != 0) return 0;
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

}  // namespace shoal::bench
