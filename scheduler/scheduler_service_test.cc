#include "scheduler/scheduler_service.h"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "catch2/catch.hpp"
#include "common/base/clock.h"
#include "common/base/fake_executor.h"
#include "common/base/release.h"
#include "common/rpc/rpc.h"
#include "common/storage/file.h"
#include "common/storage/test_dir.h"
#include "grpcpp/grpcpp.h"
#include "scheduler/directive_queue.h"
#include "scheduler/memory_store.h"

namespace shoal::scheduler {
namespace {

constexpr absl::Duration kPatience = absl::Minutes(5);

// A scheduler over gRPC on loopback. Its time stands still: no lease ends.
class Scheduler {
 public:
  Scheduler() {
    SchedulerNode::Options options;
    options.store = std::make_unique<MemoryStore>(&tables_);
    options.artifact_dir = dir_ / "artifacts";
    options.env = PosixEnv();
    options.executors = time_.factory();
    auto started = SchedulerNode::Start(std::move(options));
    REQUIRE(started.ok());
    node_ = *std::move(started);
    service_ = std::make_unique<SchedulerServiceImpl>(node_.get());
    ServerOptions rpc;
    rpc.address = "127.0.0.1:0";
    rpc.services = {service_.get()};
    auto server = StartServer(rpc);
    REQUIRE(server.ok());
    rpc_ = *std::move(server);
  }
  ~Scheduler() {
    node_->Stop();
    rpc_->Shutdown(absl::ZeroDuration());
  }

  SchedulerNode& node() { return *node_; }
  const std::string& address() const { return rpc_->address(); }

 private:
  const TestDir dir_;
  FakeTime time_;
  StoredTables tables_;
  std::unique_ptr<SchedulerNode> node_;
  std::unique_ptr<SchedulerServiceImpl> service_;
  std::unique_ptr<RpcServer> rpc_;
};

// The Hello of a worker that has just joined.
NodeReport HelloOfNewWorker(SchedulerNode* scheduler) {
  JoinRequest request;
  request.set_protocol_version(kProtocolVersion);
  request.set_role(NODE_ROLE_WORKER);
  request.set_name("worker-1");
  request.set_incarnation(1);
  const auto joined = scheduler->Join(request);
  REQUIRE(joined.ok());
  NodeReport report;
  Hello& hello = *report.mutable_hello();
  hello.set_node_id(joined->node_id());
  *hello.mutable_join() = request;
  hello.mutable_join()->set_cluster_id(joined->cluster_id());
  return report;
}

// It takes no more than 64 KiB of a stream that is not read: gRPC would find out by probing how much more
// fits.
std::shared_ptr<grpc::Channel> NarrowChannel(const std::string& address) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
  arguments.SetInt(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, 64 << 10);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
}

// The status of the only node.
NodeStatus StatusOf(SchedulerNode* scheduler) {
  const auto status = scheduler->GetStatus();
  REQUIRE(status.ok());
  REQUIRE(status->nodes_size() == 1);
  return status->nodes(0);
}

bool HasSession(const NodeStatus& node) { return !absl::StrContains(node.detail(), "no session"); }

using Session = grpc::ClientReaderWriter<NodeReport, Directive>;

// Each such report is answered with a directive to drop that job. Ends when the session does.
void ReportUnknownJobs(Session* session, int times) {
  NodeReport report;
  report.mutable_job_prepared()->set_job(1'000'000);
  while (times > 0 && session->Write(report, grpc::WriteOptions().set_buffer_hint())) --times;
}

TEST_CASE("A node that never reads its directives loses its session, and the status says so") {
  Scheduler scheduler;
  const NodeReport hello = HelloOfNewWorker(&scheduler.node());
  const auto stub = SchedulerService::NewStub(NarrowChannel(scheduler.address()));
  grpc::ClientContext context;
  SetDeadline(&context, kPatience);
  const auto stream = stub->Session(&context);
  REQUIRE(stream->Write(hello));
  stream->WaitForInitialMetadata();
  REQUIRE(context.GetServerInitialMetadata().count("shoal-session") == 1);
  REQUIRE(HasSession(StatusOf(&scheduler.node())));

  const absl::Time deadline = MonotonicNow() + kPatience;
  uint64_t most_unread = 0;
  NodeStatus status = StatusOf(&scheduler.node());
  while (HasSession(status) && MonotonicNow() < deadline) {
    ReportUnknownJobs(stream.get(), 1000);
    status = StatusOf(&scheduler.node());
    most_unread = std::max(most_unread, status.unread_directive_bytes());
  }
  REQUIRE_FALSE(HasSession(status));
  CHECK(status.unread_directive_bytes() == 0);
  CHECK(most_unread > DirectiveQueue::kMaxUnread);  // each takes several bytes

  Directive directive;
  size_t read = 0;  // what was on its way
  while (stream->Read(&directive)) ++read;
  CHECK(read < DirectiveQueue::kMaxUnread);
  CHECK(stream->Finish().error_code() == grpc::StatusCode::CANCELLED);  // so the node opens another session
}

}  // namespace
}  // namespace shoal::scheduler
