// Contribution and PublishedBlock as raw buffers: `header` first, `payload` last, and the payload is never
// copied (docs/byte-formats.md). Any protobuf implementation writes and reads the same bytes.
#pragma once

#include "absl/status/statusor.h"
#include "common/protocol/payload.h"
#include "google/protobuf/message_lite.h"
#include "grpcpp/support/byte_buffer.h"
#include "proto/parameter.pb.h"

namespace shoal {

// A message with field 1 = `header`, field 2 = `payload`. The buffer refers to the payload's memory.
// The header must be shorter than kMaxBlockHeaderBytes.
grpc::ByteBuffer EncodeBlockMessage(const google::protobuf::MessageLite& header, const Payload& payload);

inline constexpr size_t kMaxBlockHeaderBytes = 4096;

struct ContributionMessage {
  ContributionHeader header;
  Payload payload;  // refers to the received buffer
};

struct PublishedMessage {
  PublishedHeader header;
  Payload payload;  // refers to the received buffer
};

// Safe with any bytes. Checks neither the size of the payload nor its checksum. Thread-safe.
// Errors: INVALID_ARGUMENT when the bytes are not a header followed by a payload (also: other fields, an
// oversized header).
absl::StatusOr<ContributionMessage> ParseContribution(const grpc::ByteBuffer& buffer);
absl::StatusOr<PublishedMessage> ParsePublishedBlock(const grpc::ByteBuffer& buffer);

// An ordinary message, which arrives as a raw buffer because its answers are. Errors: INVALID_ARGUMENT.
absl::StatusOr<PullRequest> ParsePullRequest(const grpc::ByteBuffer& buffer);

}  // namespace shoal
