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

}  // namespace
}  // namespace shoal
