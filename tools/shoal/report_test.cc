// What `shoal status` shows of the queues.
#include "tools/shoal/report.h"

#include <cstdlib>
#include <string>

#include "catch2/catch.hpp"
#include "common/protocol/queue_length.h"

namespace shoal::tools {
namespace {

using Catch::Matchers::Contains;

// A cluster with one server, which reads everything.
ClusterStatus MakeStatus() {
  ClusterStatus status;
  NodeStatus& node = *status.add_nodes();
  node.mutable_node()->set_name("server-1");
  node.set_role(NODE_ROLE_SERVER);
  node.set_max_unread_directive_bytes(64 << 20);
  AddQueue("streams", 4, 8192, node.mutable_queues());
  AddQueue("snapshots", 0, 3, node.mutable_queues());
  AddQueue("watchers", 1, 256, status.mutable_queues());
  return status;
}

std::string Printed(const ClusterStatus& status) {
  char* text = nullptr;
  size_t size = 0;
  std::FILE* const out = open_memstream(&text, &size);
  REQUIRE(out != nullptr);
  PrintStatus(status, out);
  std::fclose(out);
  std::string printed(text, size);
  std::free(text);
  return printed;
}

TEST_CASE("The status says what a node has not read, and nothing of the kind when it reads everything") {
  ClusterStatus status = MakeStatus();
  const std::string reads = Printed(status);
  CHECK_THAT(reads, Contains("server-1"));
  CHECK_THAT(reads, !Contains("directives"));
  status.mutable_nodes(0)->set_unread_directive_bytes(70000);
  CHECK_THAT(Printed(status), Contains("\n  has not read 70000 bytes of directives, at most 64MiB\n"));
}

TEST_CASE("For scripts, the status has all queues with their limits") {
  ClusterStatus status = MakeStatus();
  status.mutable_nodes(0)->set_unread_directive_bytes(70000);
  const Json json = StatusJson(status);
  const Json& node = json["nodes"][0];
  CHECK(node["unread_directive_bytes"] == 70000);
  CHECK(node["max_unread_directive_bytes"] == 64 << 20);
  REQUIRE(node["queues"].size() == 2);
  CHECK(node["queues"][0]["name"] == "streams");
  CHECK(node["queues"][0]["length"] == 4);
  CHECK(node["queues"][0]["limit"] == 8192);
  CHECK(node["queues"][1]["length"] == 0);
  CHECK(json["queues"][0]["name"] == "watchers");
}

}  // namespace
}  // namespace shoal::tools
