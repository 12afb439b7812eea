// Contribution and PublishedBlock as they arrive: any bytes, cut into slices anywhere. Asserted: the cuts do
// not matter, the payload has the length of the remaining bytes, what was read is written as a message that
// reads back the same, and protobuf's own parser accepts it too.
#include "common/protocol/block_message.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "common/base/status.h"
#include "common/base/wire.h"
#include "common/protocol/payload.h"
#include "tests/fuzz/byte_source.h"

namespace shoal {
namespace {

constexpr uint64_t kMaxElements = 4096;

grpc::ByteBuffer Sliced(absl::string_view bytes, size_t piece) {
  std::vector<grpc::Slice> slices;
  for (size_t begin = 0; begin < bytes.size(); begin += piece) {
    const absl::string_view part = bytes.substr(begin, piece);
    slices.emplace_back(part.data(), part.size());
    if (begin % 3 == 0) slices.emplace_back();
  }
  return grpc::ByteBuffer(slices.data(), slices.size());
}

std::string BytesOf(const Payload& payload) {
  std::string bytes;
  for (const grpc::Slice& slice : payload.slices())
    bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  SHOAL_CHECK(bytes.size() == payload.size());
  return bytes;
}

std::string BytesOf(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  SHOAL_CHECK(buffer.Dump(&slices).ok());
  return BytesOf(Payload(std::move(slices)));
}

void CheckDecodes(WireFormat format, const Payload& payload) {
  if (!WireFormat_IsValid(format)) return;
  const uint64_t elements = payload.size() / WireElementBytes(format);
  if (elements > kMaxElements || EncodedBytes(format, elements) != payload.size()) return;
  std::vector<float> values(elements), rounded(elements, 1.0f);
  DecodePayload(format, payload, absl::MakeSpan(values));
  PayloadReader(format, payload).DecodeAddRoundToWire(absl::MakeSpan(rounded));
  std::vector<uint8_t> encoded(payload.size());
  Encode(format, values, absl::MakeSpan(encoded));
  std::vector<float> again(elements);
  Decode(format, encoded, absl::MakeSpan(again));
  RoundToWire(format, absl::MakeSpan(values));
  for (uint64_t i = 0; i < elements; ++i)
    SHOAL_CHECK(again[i] == values[i] || (again[i] != again[i] && values[i] != values[i]));
}

template <typename ProtoMessage, typename Parse>
void CheckMessage(absl::string_view bytes, size_t piece, Parse parse) {
  const auto message = parse(Sliced(bytes, piece));
  const auto whole = parse(Sliced(bytes, std::max<size_t>(bytes.size(), 1)));
  SHOAL_CHECK(message.ok() == whole.ok());
  if (!message.ok()) {
    SHOAL_CHECK(message.status() == whole.status());
    SHOAL_CHECK(message.status().code() == absl::StatusCode::kInvalidArgument);
    return;
  }
  SHOAL_CHECK(BytesOf(message->payload) == BytesOf(whole->payload));
  SHOAL_CHECK(message->payload.Crc32c() == whole->payload.Crc32c());
  CheckDecodes(message->header.wire(), message->payload);
  if (message->header.ByteSizeLong() >= kMaxBlockHeaderBytes) return;
  const grpc::ByteBuffer encoded = EncodeBlockMessage(message->header, message->payload);
  const auto again = parse(encoded);
  SHOAL_CHECK_OK(again);
  SHOAL_CHECK(again->header.SerializeAsString() == message->header.SerializeAsString());
  SHOAL_CHECK(BytesOf(again->payload) == BytesOf(message->payload));
  ProtoMessage proto;
  SHOAL_CHECK(proto.ParseFromString(BytesOf(encoded)));
  SHOAL_CHECK(proto.header().SerializeAsString() == message->header.SerializeAsString());
  SHOAL_CHECK(proto.payload() == BytesOf(message->payload));
}

void CheckPullRequest(absl::string_view bytes, size_t piece) {
  const auto request = ParsePullRequest(Sliced(bytes, piece));
  PullRequest proto;
  SHOAL_CHECK(request.ok() == proto.ParseFromString(std::string(bytes)));
  if (request.ok()) SHOAL_CHECK(request->SerializeAsString() == proto.SerializeAsString());
}

}  // namespace
}  // namespace shoal

// The first byte is the size of a slice.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace shoal;
  ByteSource source(data, size);
  const size_t piece = 1 + source.Byte();
  const absl::string_view bytes = source.Rest();
  CheckMessage<Contribution>(bytes, piece, ParseContribution);
  CheckMessage<PublishedBlock>(bytes, piece, ParsePublishedBlock);
  CheckPullRequest(bytes, piece);
  return 0;
}
