#include "worker/published_check.h"

#include "catch2/catch.hpp"
#include "common/base/flipped_bits.h"
#include "common/protocol/block_checksum.h"

namespace shoal::worker {
namespace {

TEST_CASE("A published block with one flipped bit, in its header or its payload, is refused") {
  const std::vector<uint64_t> block_elements = {3, 3, 3, 3};
  std::vector<uint8_t> bytes(3 * sizeof(float), 0x5a);
  PublishedMessage message;
  message.payload = Payload::CopyOf(bytes);
  constexpr ViewKey kView = {JobId(1), TrainingId(8), ViewId(2)};
  SetKey(kView, &message.header);
  message.header.set_version(3);
  message.header.set_block(1);
  message.header.set_crc32c(BlockChecksum(message.header, message.payload.Crc32c()));
  REQUIRE(CheckPublished(message, kView, block_elements).ok());

  int accepted = 0;
  ForEachFlippedBit(&message.header, [&] {
    if (CheckPublished(message, kView, block_elements).ok()) ++accepted;
  });
  for (size_t bit = 0; bit < 8 * bytes.size(); ++bit) {
    bytes[bit / 8] ^= static_cast<uint8_t>(1 << (bit % 8));
    message.payload = Payload::CopyOf(bytes);
    if (CheckPublished(message, kView, block_elements).ok()) ++accepted;
    bytes[bit / 8] ^= static_cast<uint8_t>(1 << (bit % 8));
  }
  CHECK(accepted == 0);
}

TEST_CASE("An intact block of another job, training or view is refused") {
  constexpr ViewKey kView = {JobId(1), TrainingId(8), ViewId(2)};
  PublishedMessage message;
  message.payload = Payload::CopyOf(std::vector<uint8_t>(12));
  for (const ViewKey& view :
       {kView, ViewKey{JobId(2), kView.training, kView.view}, ViewKey{kView.job, TrainingId(9), kView.view},
        ViewKey{kView.job, kView.training, ViewId(1)}}) {
    SetKey(view, &message.header);
    message.header.set_crc32c(BlockChecksum(message.header, message.payload.Crc32c()));
    CHECK(CheckPublished(message, kView, {3}).code() ==
          (view == kView ? absl::StatusCode::kOk : absl::StatusCode::kFailedPrecondition));
  }
}

TEST_CASE("A block is read from its bytes, and whatever is wrong with them ends the stream as damage") {
  constexpr ViewKey kView = {JobId(1), TrainingId(8), ViewId(2)},
                    kOther = {JobId(1), TrainingId(8), ViewId(3)};
  PublishedHeader header;
  SetKey(kView, &header);
  const Payload payload = Payload::CopyOf(std::vector<uint8_t>(12, 0x5a));
  header.set_crc32c(BlockChecksum(header, payload.Crc32c()));
  const grpc::ByteBuffer bytes = EncodeBlockMessage(header, payload);
  const auto message = ReadPublished(bytes, kView, {3});
  REQUIRE(message.ok());
  CHECK(message->payload.size() == 12);
  CHECK(absl::IsDataLoss(ReadPublished(bytes, kView, {4}).status()));
  CHECK(absl::IsDataLoss(ReadPublished(bytes, kOther, {3}).status()));
  CHECK(absl::IsDataLoss(ReadPublished(grpc::ByteBuffer(), kView, {3}).status()));
}

}  // namespace
}  // namespace shoal::worker
