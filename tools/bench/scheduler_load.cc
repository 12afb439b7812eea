#include "tools/bench/scheduler_load.h"

#include <unistd.h>

#include <atomic>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "common/base/release.h"
#include "common/base/status.h"
#include "common/rpc/rpc.h"
#include "common/storage/test_dir.h"
#include "grpcpp/grpcpp.h"
#include "proto/scheduler.grpc.pb.h"
#include "tools/shoal/local_cluster.h"
#include "tools/shoal/scheduler_client.h"

namespace shoal::bench {
namespace {

constexpr absl::Duration kJoinTimeout = absl::Seconds(10);
// Between the last node's join and the measurement.
constexpr absl::Duration kSettle = absl::Seconds(1);

// User and system time of a process.
absl::StatusOr<double> CpuSecondsOf(pid_t pid) {
  std::ifstream file(absl::StrCat("/proc/", pid, "/stat"));
  const std::string stat{std::istreambuf_iterator<char>(file), {}};
  // Fields 14 and 15 (proc(5)); the second one, in parentheses, may hold anything.
  const std::vector<std::string> fields =
      absl::StrSplit(stat.substr(stat.rfind(')') + 1), ' ', absl::SkipEmpty());
  uint64_t user = 0, system = 0;
  if (fields.size() < 13 || !absl::SimpleAtoi(fields[11], &user) || !absl::SimpleAtoi(fields[12], &system)) {
    return absl::InternalError("/proc/PID/stat is not as expected");
  }
  return static_cast<double>(user + system) / static_cast<double>(sysconf(_SC_CLK_TCK));
}

// A node that only sends heartbeats. Only one thread calls Beat.
class IdleNode : public grpc::ClientBidiReactor<NodeReport, Directive> {
 public:
  explicit IdleNode(const std::shared_ptr<grpc::Channel>& channel)
      : stub_(SchedulerService::NewStub(channel)) {}
  ~IdleNode() override {
    if (!open_) return;
    context_.TryCancel();
    RemoveHold();
    done_.WaitForNotification();
  }

  absl::Status Open(const JoinRequest& join) {
    grpc::ClientContext context;
    SetDeadline(&context, kJoinTimeout);
    SHOAL_RETURN_IF_ERROR(FromGrpcStatus(stub_->Join(&context, join, &joined_)));
    report_.mutable_hello()->set_node_id(joined_.node_id());
    *report_.mutable_hello()->mutable_join() = join;
    report_.mutable_hello()->mutable_join()->set_cluster_id(joined_.cluster_id());
    stub_->async()->Session(&context_, this);
    AddHold();  // heartbeats come from a thread other than the reactor's
    StartRead(&directive_);
    StartWrite(&report_);
    StartCall();
    open_ = true;
    return absl::OkStatus();
  }
  absl::Duration heartbeat() const { return absl::Milliseconds(joined_.heartbeat_ms()); }

  void Beat() {
    if (writing_.exchange(true)) return;  // the previous one is still being written
    report_.mutable_heartbeat();
    StartWrite(&report_);
  }

  void OnReadDone(bool ok) override {
    if (ok) StartRead(&directive_);
  }
  void OnWriteDone(bool ok) override {
    if (ok) writing_ = false;
  }
  void OnDone(const grpc::Status&) override { done_.Notify(); }

 private:
  const std::unique_ptr<SchedulerService::Stub> stub_;
  JoinResponse joined_;
  grpc::ClientContext context_;
  NodeReport report_;
  Directive directive_;
  bool open_ = false;
  std::atomic<bool> writing_{true};  // the Hello
  absl::Notification done_;
};

// All nodes, and the thread of their heartbeats.
class IdleNodes {
 public:
  explicit IdleNodes(size_t nodes) { nodes_.reserve(nodes); }
  ~IdleNodes() {
    stopping_ = true;
    if (beats_.joinable()) beats_.join();
  }

  absl::Status Join(const std::string& scheduler, const SchedulerLoad& load) {
    std::vector<std::shared_ptr<grpc::Channel>> channels;
    for (int i = 0; i < load.channels; ++i) {
      ChannelOptions options;
      options.connection_index = i;
      channels.push_back(NewChannel(scheduler, options));
    }
    JoinRequest join;
    join.set_protocol_version(kProtocolVersion);
    join.set_role(NODE_ROLE_WORKER);
    join.set_threads(1);
    for (int i = 0; i < load.nodes; ++i) {
      join.set_name(absl::StrCat("idle-", i));
      auto node = std::make_unique<IdleNode>(channels[i % channels.size()]);
      SHOAL_RETURN_IF_ERROR(node->Open(join));
      nodes_.push_back(std::move(node));
      joined_ = nodes_.size();
      // The first nodes must not wait for the last to join: their leases would end.
      if (i == 0) beats_ = std::thread([this, nodes = load.nodes] { SendBeats(nodes); });
    }
    return absl::OkStatus();
  }

 private:
  void SendBeats(int nodes) {
    const absl::Duration pause = nodes_[0]->heartbeat() / nodes;
    absl::Time next = absl::Now();
    for (size_t i = 0; !stopping_; i = (i + 1) % static_cast<size_t>(nodes)) {
      next += pause;
      absl::SleepFor(next - absl::Now());
      if (i < joined_) nodes_[i]->Beat();
    }
  }

  std::vector<std::unique_ptr<IdleNode>> nodes_;  // reserved, so it never moves
  std::atomic<size_t> joined_{0};                 // how many of them the thread may use
  std::atomic<bool> stopping_{false};
  std::thread beats_;
};

absl::StatusOr<double> Measure(const SchedulerLoad& load, const std::string& folder) {
  tools::LocalCluster::Options options;
  SHOAL_ASSIGN_OR_RETURN(options.programs, tools::DaemonPrograms::Find());
  options.folder = folder;
  SHOAL_ASSIGN_OR_RETURN(const std::unique_ptr<tools::LocalCluster> cluster,
                         tools::LocalCluster::Start(std::move(options)));
  SHOAL_ASSIGN_OR_RETURN(const tools::ChildProcess* const scheduler, cluster->Find("scheduler"));
  IdleNodes nodes(load.nodes);
  SHOAL_RETURN_IF_ERROR(nodes.Join(cluster->scheduler(), load));
  absl::SleepFor(kSettle);
  const absl::Time begin = absl::Now();
  SHOAL_ASSIGN_OR_RETURN(const double cpu_before, CpuSecondsOf(scheduler->pid()));
  absl::SleepFor(absl::Seconds(load.seconds));
  SHOAL_ASSIGN_OR_RETURN(const double cpu_after, CpuSecondsOf(scheduler->pid()));
  const double wall = absl::ToDoubleSeconds(absl::Now() - begin);
  SHOAL_ASSIGN_OR_RETURN(const ClusterStatus status,
                         tools::SchedulerClient(cluster->scheduler()).GetStatus());
  if (status.nodes_size() != load.nodes) {
    return absl::InternalError(
        absl::StrCat("the scheduler has ", status.nodes_size(), " nodes, expected ", load.nodes));
  }
  return (cpu_after - cpu_before) / wall;
}

}  // namespace

absl::StatusOr<double> SchedulerCoreShare(const SchedulerLoad& load) {
  const TestDir folder;
  return Measure(load, folder.path());
}

}  // namespace shoal::bench
