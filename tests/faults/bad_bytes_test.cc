// What comes over the network may be anything: every RPC gets garbage while a job runs, and the job ends with
// the same bits.
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "catch2/catch.hpp"
#include "common/philox.h"
#include "common/rpc.h"
#include "common/version.h"
#include "grpcpp/generic/generic_stub.h"
#include "proto/parameter.grpc.pb.h"
#include "proto/scheduler.grpc.pb.h"
#include "tests/faults/test_cluster.h"

namespace shoal {
namespace {

// Random bytes; some of them begin like a message.
std::string Garbage(PhiloxStream* random) {
  std::string bytes(random->UniformInt(200), '\0');
  for (char& byte : bytes) byte = static_cast<char>(random->Next32());
  if (bytes.size() > 2 && random->UniformInt(2) == 0)
    bytes[0] = '\x0a', bytes[1] = static_cast<char>(bytes.size() - 2);
  return bytes;
}

// Sends `bytes` to a method as one message and waits until the call has ended, with whatever status.
void CallWith(grpc::GenericStub* stub, const std::string& method, const std::string& bytes) {
  grpc::CompletionQueue queue;
  grpc::ClientContext context;
  SetDeadline(&context, absl::Seconds(1));
  const auto call = stub->PrepareCall(&context, method, &queue);
  const grpc::Slice slice(bytes);
  const grpc::ByteBuffer message(&slice, 1);
  grpc::ByteBuffer answer;
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
    }
  }
  call->Finish(&status, nullptr);
  REQUIRE(queue.Next(&tag, &ok));
}

std::vector<std::string> MethodsOf(const google::protobuf::ServiceDescriptor* service) {
  std::vector<std::string> methods;
  for (int i = 0; i < service->method_count(); ++i) {
    methods.push_back(absl::StrCat("/", service->full_name(), "/", service->method(i)->name()));
  }
  return methods;
}

TEST_CASE("Garbage sent to every RPC of scheduler and server changes nothing", "[bad input]") {
  TestCluster cluster({1, 1, 1});
  const JobId job = cluster.Submit();
  cluster.WaitForRound(job, 10);
  const auto status = cluster.client().GetStatus();
  REQUIRE(status.ok());
  std::string server;
  for (const NodeStatus& node : status->nodes()) {
    if (node.role() == NODE_ROLE_SERVER) server = node.node().address();
  }
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

  const Job ended = cluster.WaitForEnd(job);
  INFO(ended.reason());
  REQUIRE(ended.state() == JOB_STATE_COMPLETED);
  CHECK(ended.result().parameters_sha256() == UndisturbedSha256());
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

}  // namespace
}  // namespace shoal
