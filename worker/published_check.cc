#include "worker/published_check.h"

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/base/wire.h"
#include "common/protocol/block_checksum.h"

namespace shoal::worker {

absl::Status CheckPublished(const PublishedMessage& message, const ViewKey& view,
                            const std::vector<uint64_t>& block_elements) {
  const PublishedHeader& header = message.header;
  if (header.block() >= block_elements.size() || !WireFormat_IsValid(header.wire())) {
    return absl::InvalidArgumentError(absl::StrCat("block ", header.block(), " is not one of the job's"));
  }
  const uint64_t expected =
      EncodedBytes(header.wire(), block_elements[header.block()]) * (header.with_average() ? 2 : 1);
  if (message.payload.size() != expected) {
    return absl::InvalidArgumentError(absl::StrCat("block ", header.block(), " has ", message.payload.size(),
                                                   " bytes, expected ", expected));
  }
  if (BlockChecksum(header, message.payload.Crc32c()) != header.crc32c()) {
    return absl::DataLossError(absl::StrCat("block ", header.block(), " arrived damaged (checksum)"));
  }
  return Annotate(CheckKey(KeyOf(header), view), absl::StrCat("block ", header.block()));
}

absl::StatusOr<PublishedMessage> ReadPublished(const grpc::ByteBuffer& buffer, const ViewKey& view,
                                               const std::vector<uint64_t>& block_elements) {
  auto message = ParsePublishedBlock(buffer);
  const absl::Status status =
      message.ok() ? CheckPublished(*message, view, block_elements) : message.status();
  if (!status.ok()) return absl::DataLossError(status.message());
  return message;
}

}  // namespace shoal::worker
