#include "common/protocol/block_message.h"

#include <string>
#include <vector>

#include "catch2/catch.hpp"
#include "common/base/philox.h"

namespace shoal {
namespace {

std::string Bytes(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  REQUIRE(buffer.Dump(&slices).ok());
  std::string bytes;
  for (const grpc::Slice& slice : slices)
    bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  return bytes;
}

// The bytes in slices of `cut` bytes, as a network may hand them over.
grpc::ByteBuffer Cut(const std::string& bytes, size_t cut) {
  std::vector<grpc::Slice> slices;
  for (size_t i = 0; i < bytes.size(); i += cut) slices.emplace_back(bytes.substr(i, cut));
  return grpc::ByteBuffer(slices.data(), slices.size());
}

Contribution Example(size_t payload_bytes) {
  Contribution message;
  message.mutable_header()->set_job(3);
  message.mutable_header()->set_round(1234567);
  message.mutable_header()->set_crc32c(0xdeadbeef);
  message.mutable_header()->mutable_stats()->set_loss(1.5);
  std::string payload;
  for (size_t i = 0; i < payload_bytes; ++i) payload.push_back(static_cast<char>(UniformBits(1, i)));
  message.set_payload(payload);
  return message;
}

Payload PayloadOf(const std::string& bytes) {
  return Payload::CopyOf({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()});
}

TEST_CASE("The raw framing is protobuf's encoding, byte for byte") {
  for (size_t size : {0, 1, 127, 128, 70000}) {
    const Contribution message = Example(size);
    CHECK(Bytes(EncodeBlockMessage(message.header(), PayloadOf(message.payload()))) ==
          message.SerializeAsString());
  }
}

TEST_CASE("What protobuf wrote is read back, however the network splits it") {
  const Contribution message = Example(1000);
  for (size_t cut : {1, 2, 7, 64, 5000}) {
    const auto parsed = ParseContribution(Cut(message.SerializeAsString(), cut));
    REQUIRE(parsed.ok());
    CHECK(parsed->header.SerializeAsString() == message.header().SerializeAsString());
    CHECK(parsed->payload.size() == 1000);
    CHECK(parsed->payload.Crc32c() == PayloadOf(message.payload()).Crc32c());
  }
}

TEST_CASE("A request for blocks is read however the network splits it, and garbage is refused") {
  PullRequest request;
  request.set_job(3);
  request.set_from_version(1234567);
  for (size_t cut : {1, 3, 100}) {
    const auto parsed = ParsePullRequest(Cut(request.SerializeAsString(), cut));
    REQUIRE(parsed.ok());
    CHECK(parsed->SerializeAsString() == request.SerializeAsString());
  }
  CHECK(ParsePullRequest(Cut("", 1)).ok());
  CHECK(absl::IsInvalidArgument(ParsePullRequest(Cut("\x08", 1)).status()));
  CHECK(absl::IsInvalidArgument(ParsePullRequest(grpc::ByteBuffer()).status()));
}

TEST_CASE("Any prefix and any garbage gives an error or a message, nothing worse") {
  const std::string bytes = Example(50).SerializeAsString();
  for (size_t size = 0; size + 1 < bytes.size(); ++size) {
    const auto parsed = ParseContribution(Cut(bytes.substr(0, size), 3));
    if (parsed.ok()) CHECK(parsed->payload.empty());  // cut between header and payload
  }
  PhiloxStream random(5);
  int refused = 0;
  for (int trial = 0; trial < 2000; ++trial) {
    std::string garbage(random.UniformInt(200), '\0');
    for (char& c : garbage) c = static_cast<char>(random.Next32());
    if (!ParseContribution(Cut(garbage, 1 + random.UniformInt(64))).ok()) ++refused;
  }
  CHECK(refused > 1900);
  CHECK(absl::IsInvalidArgument(ParseContribution(Cut(bytes + "x", 9)).status()));
  CHECK(absl::IsInvalidArgument(ParsePublishedBlock(grpc::ByteBuffer()).status()));
}

}  // namespace
}  // namespace shoal
