#include "common/rpc/rpc.h"

#include <string>

#include "catch2/catch.hpp"
#include "common/base/utf8.h"

namespace shoal {
namespace {

TEST_CASE("The message of a status is cut between characters, like every message that is sent") {
  std::string euros;
  while (euros.size() <= 2 * kMaxMessage_bytes) euros += "\xE2\x82\xAC";
  const absl::Status sent = FromGrpcStatus(ToGrpcStatus(absl::NotFoundError(euros)));
  CHECK(absl::IsNotFound(sent));
  CHECK(sent.message() == ToMessage(euros));
  CHECK(FromGrpcStatus(ToGrpcStatus(absl::UnknownError("short"))) == absl::UnknownError("short"));
}

TEST_CASE("Whether an address can be listened on is known without a server") {
  ServerOptions options;
  options.address = "127.0.0.1:0";
  CHECK(CheckListening(options).ok());
  const auto server = StartServer(options);
  REQUIRE(server.ok());
  options.address = (*server)->address();
  CHECK(absl::IsAlreadyExists(CheckListening(options)));
  options.address = "0.0.0.0:0";
  CHECK(absl::IsFailedPrecondition(CheckListening(options)));
  options.allow_remote = true;
  CHECK(CheckListening(options).ok());
  options.address = "nowhere";
  CHECK(absl::IsInvalidArgument(CheckListening(options)));
}

}  // namespace
}  // namespace shoal
