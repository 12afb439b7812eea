// Foreign traffic. Every RPC gets garbage while a job runs, and the job ends with the same bits; probes and
// tools find the services they expect.
#include <signal.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "catch2/catch.hpp"
#include "common/base/philox.h"
#include "common/base/release.h"
#include "common/rpc/rpc.h"
#include "common/storage/test_dir.h"
#include "grpcpp/generic/generic_stub.h"
#include "proto/parameter.grpc.pb.h"
#include "proto/scheduler.grpc.pb.h"
#include "tests/faults/command.h"
#include "tests/faults/test_cluster.h"

namespace shoal {
namespace {

// Random bytes; some begin like a message.
std::string Garbage(PhiloxStream* random) {
  std::string bytes(random->UniformInt(200), '\0');
  for (char& byte : bytes) byte = static_cast<char>(random->Next32());
  if (bytes.size() > 2 && random->UniformInt(2) == 0)
    bytes[0] = '\x0a', bytes[1] = static_cast<char>(bytes.size() - 2);
  return bytes;
}

// Sends `bytes` to a method as one message and waits until the call has ended, with whatever status. Returns
// the last answer's bytes.
std::string CallWith(grpc::GenericStub* stub, const std::string& method, const std::string& bytes) {
  grpc::CompletionQueue queue;
  grpc::ClientContext context;
  SetDeadline(&context, absl::Seconds(1));
  const auto call = stub->PrepareCall(&context, method, &queue);
  const grpc::Slice slice(bytes);
  const grpc::ByteBuffer message(&slice, 1);
  grpc::ByteBuffer answer;
  std::string last;
  grpc::Status status;
  void* tag = nullptr;
  bool ok = false;
  call->StartCall(nullptr);
  REQUIRE(queue.Next(&tag, &ok));
  if (ok) {
    call->WriteLast(message, {}, nullptr);
    REQUIRE(queue.Next(&tag, &ok));
    while (ok) {
      call->Read(&answer, nullptr);
      REQUIRE(queue.Next(&tag, &ok));
      grpc::Slice whole;
      if (ok && answer.DumpToSingleSlice(&whole).ok())
        last.assign(reinterpret_cast<const char*>(whole.begin()), whole.size());
    }
  }
  call->Finish(&status, nullptr);
  REQUIRE(queue.Next(&tag, &ok));
  return last;
}

std::vector<std::string> MethodsOf(const google::protobuf::ServiceDescriptor* service) {
  std::vector<std::string> methods;
  for (int i = 0; i < service->method_count(); ++i) {
    methods.push_back(absl::StrCat("/", service->full_name(), "/", service->method(i)->name()));
  }
  return methods;
}

// The address as reported by the status RPC. Waits until there is such a node.
std::string AddressOf(TestCluster* cluster, NodeRole role) {
  const absl::Time deadline = absl::Now() + absl::Seconds(30);
  while (absl::Now() < deadline) {
    const auto status = cluster->client().GetStatus();
    REQUIRE(status.ok());
    for (const NodeStatus& node : status->nodes()) {
      if (node.role() == role) return node.node().address();
    }
  }
  FAIL("no " << NodeRole_Name(role));
  return "";
}

TEST_CASE("Garbage sent to every RPC of scheduler and server changes nothing", "[bad input]") {
  TestCluster cluster({1, 1, 1});
  const JobId job = cluster.Submit();
  cluster.WaitForRound(job, 10);
  const std::string server = AddressOf(&cluster, NODE_ROLE_SERVER);
  PhiloxStream random(DeriveKey(1, "garbage"));
  const auto attack = [&](const std::string& address, const google::protobuf::ServiceDescriptor* service) {
    grpc::GenericStub stub(NewChannel(address));
    for (const std::string& method : MethodsOf(service)) {
      for (int i = 0; i < 20; ++i) CallWith(&stub, method, Garbage(&random));
    }
  };
  const auto* pool = google::protobuf::DescriptorPool::generated_pool();
  attack(cluster.processes().scheduler(), pool->FindServiceByName("shoal.SchedulerService"));
  attack(server, pool->FindServiceByName("shoal.ParameterService"));

  CheckSameBits(cluster.WaitForEnd(job));
  for (const char* name : {"scheduler", "server-1", "worker-1"})
    CHECK_FALSE((*cluster.processes().Find(name))->Ended());
}

TEST_CASE("A node of another protocol version is refused with both versions", "[bad input]") {
  TestCluster cluster({0, 0, 1});
  const auto stub = SchedulerService::NewStub(cluster.client().channel());
  grpc::ClientContext context;
  SetDeadline(&context, absl::Seconds(10));
  JoinRequest request;
  request.set_protocol_version(kProtocolVersion + 1);
  request.set_role(NODE_ROLE_WORKER);
  JoinResponse response;
  const grpc::Status status = stub->Join(&context, request, &response);
  CHECK(status.error_code() == grpc::StatusCode::FAILED_PRECONDITION);
  CHECK_THAT(status.error_message(),
             Catch::Matchers::Contains(absl::StrCat("protocol version ", kProtocolVersion + 1)));
}

// A scheduler that refuses every node.
class RefusingScheduler : public SchedulerService::Service {
 public:
  grpc::Status Join(grpc::ServerContext*, const JoinRequest*, JoinResponse*) override {
    return grpc::Status(grpc::StatusCode::FAILED_PRECONDITION, "protocol version 1 is not spoken here");
  }
};

TEST_CASE("A daemon that is refused says why and exits with 1", "[bad input]") {
  RefusingScheduler service;
  ServerOptions options;
  options.address = "127.0.0.1:0";
  options.services = {&service};
  const auto scheduler = StartServer(options);
  REQUIRE(scheduler.ok());
  const TestDir dir;
  for (const char* daemon : {"server/shoal-server", "worker/shoal-worker"}) {
    const EndedProcess result =
        RunCommand({Program(daemon), "--scheduler", (*scheduler)->address(), "--work-dir", dir / "work"});
    INFO(result.output);
    CHECK(result.ended == "exit status 1");
    CHECK_THAT(result.output, Catch::Matchers::Contains("protocol version 1 is not spoken here"));
  }
}

TEST_CASE("A daemon that is pointed at another program says so, with the address, and tries on",
          "[bad input]") {
  ServerOptions options;
  options.address = "127.0.0.1:0";
  const auto other = StartServer(options);
  REQUIRE(other.ok());
  const TestDir dir;
  const auto worker = tools::ChildProcess::Start(
      {Program("worker/shoal-worker"), "--scheduler", (*other)->address(), "--work-dir", dir / "work"},
      dir / "output");
  REQUIRE(worker.ok());
  WaitForText(dir / "output",
              absl::StrCat("What answers at ", (*other)->address(), " is not a Shoal scheduler"),
              worker->get());
  (*worker)->Signal(SIGTERM);
  CHECK((*worker)->WaitEnded(absl::Seconds(30)));
}

// The messages of grpc.health.v1 and grpc.reflection.v1alpha are encoded by hand: Debian has no C++ code for
// them.
TEST_CASE("Every daemon tells its health and its services", "[rpc]") {
  TestCluster cluster({1, 1, 1});
  const std::string serving = "\x08\x01";                        // HealthCheckResponse{status: SERVING}
  const std::string list_services = std::string("\x3a\x00", 2);  // ServerReflectionRequest{list_services: ""}
  const auto check = [&](const std::string& address, const std::string& service) {
    INFO(address);
    grpc::GenericStub stub(NewChannel(address));
    CHECK(CallWith(&stub, "/grpc.health.v1.Health/Check", "") == serving);
    CHECK_THAT(
        CallWith(&stub, "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", list_services),
        Catch::Matchers::Contains(service));
  };
  check(cluster.processes().scheduler(), "shoal.SchedulerService");
  check(AddressOf(&cluster, NODE_ROLE_SERVER), "shoal.ParameterService");
  check(AddressOf(&cluster, NODE_ROLE_WORKER), "grpc.health.v1.Health");
}

}  // namespace
}  // namespace shoal
