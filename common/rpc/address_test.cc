#include "common/rpc/address.h"

#include "catch2/catch.hpp"

namespace shoal {
namespace {

TEST_CASE("An address is a host and a port") {
  for (const char* good : {"127.0.0.1:7070", "localhost:1", "[::1]:65535", "node-1.example:80"}) {
    INFO(good);
    CHECK(AddressProblem(good).empty());
  }
}

TEST_CASE("An address without host or port is told from a complete one") {
  for (const char* bad : {"", "127.0.0.1", "127.0.0.1:", ":7070", "host:0", "host:65536", "host:x", "::1"}) {
    INFO(bad);
    CHECK_THAT(AddressProblem(bad), Catch::Matchers::Contains("expected HOST:PORT") &&
                                        Catch::Matchers::Contains("'" + std::string(bad) + "'"));
  }
}

TEST_CASE("A node's name or address is printable ASCII without blanks") {
  for (const char* good : {"", "worker-1", "rack_2/gpu:0", "[::1]:7071", "10.0.0.6:7071"}) {
    INFO(good);
    CHECK(NodeTextProblem(good).empty());
  }
  for (const char* bad : {"worker 1", "worker\n", "\x1b[2J", "\x7f", "gr\xC3\xB6\xC3\x9F", "\xff"}) {
    INFO(bad);
    CHECK_THAT(NodeTextProblem(bad), Catch::Matchers::StartsWith("expected letters, digits and punctuation"));
  }
  CHECK_THAT(NodeTextProblem("a\x1b[2J\nb"), Catch::Matchers::EndsWith("got 'a?[2J?b'"));
}

TEST_CASE("A host name of other characters does not keep its node out") {
  CHECK(ToNodeText("gpu-1.local") == "gpu-1.local");
  CHECK(ToNodeText("gr\xC3\xB6 \n") == "gr----");
  CHECK(ToNodeText("") == "unknown");
}

TEST_CASE("What answers in place of a scheduler is quoted only if it has said something") {
  CHECK(NoSchedulerText("host:1", "no such call") ==
        "answers at host:1 is not a Shoal scheduler (no such call)");
  CHECK(NoSchedulerText("host:1", "") == "answers at host:1 is not a Shoal scheduler");
}

TEST_CASE("Addresses that stand for every address of a machine are recognised") {
  for (const char* wildcard : {"0.0.0.0:7071", "[::]:7071", "*:7071", ":7071", "0.0.0.0"})
    CHECK(IsWildcard(wildcard));
  for (const char* address : {"127.0.0.1:7071", "[::1]:7071", "host:7071", "10.0.0.0:1"})
    CHECK_FALSE(IsWildcard(address));
}

}  // namespace
}  // namespace shoal
