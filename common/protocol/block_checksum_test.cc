#include "common/protocol/block_checksum.h"

#include <limits>
#include <vector>

#include "absl/types/span.h"
#include "catch2/catch.hpp"
#include "common/base/crc32c.h"
#include "common/base/flipped_bits.h"

namespace shoal {
namespace {

constexpr uint32_t kPayloadCrc32c = 0x12345678;

TEST_CASE("The checksum is the payload's CRC continued over the header's little-endian fields") {
  PublishedHeader header;
  header.set_job(0x0102030405060708);
  header.set_view(2);
  header.set_version(3);
  header.set_block(0x0a0b0c0d);
  header.set_wire(WIRE_FORMAT_F16);
  header.set_crc32c(99);  // ignored
  header.set_training_id(0x1112131415161718);
  header.set_with_average(true);
  const std::vector<uint8_t> bytes = {8, 7, 6,  5,  4,  3,  2,  1,  2,  0,  0,  0,  0,  0, 0,
                                      0, 3, 0,  0,  0,  0,  0,  0,  0,  13, 12, 11, 10, 2, 0,
                                      0, 0, 24, 23, 22, 21, 20, 19, 18, 17, 1,  0,  0,  0};
  CHECK(BlockChecksum(header, kPayloadCrc32c) == ExtendCrc32c(kPayloadCrc32c, bytes));
  Norms norms;
  norms.set_shard(1);
  norms.add_squared_norms(1.0);
  norms.set_training_id(5);
  std::vector<uint8_t> norm_bytes(24);
  norm_bytes.insert(norm_bytes.end(), {1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f, 5, 0, 0, 0, 0, 0, 0, 0});
  CHECK(NormsChecksum(norms) == Crc32c(norm_bytes));
}

TEST_CASE("Each bit of each field of a header affects the checksum") {
  ContributionHeader contribution;
  contribution.mutable_stats()->set_loss(1.5);
  contribution.set_crc32c(BlockChecksum(contribution, kPayloadCrc32c));
  int flips = 0, noticed = 0;
  ForEachFlippedBit(&contribution, [&] {
    ++flips;
    if (BlockChecksum(contribution, kPayloadCrc32c) != contribution.crc32c()) ++noticed;
  });
  CHECK(flips == 4 * 64 + 3 * 32 + 4 * 64 + 2 * 32);
  CHECK(noticed == flips);

  PublishedHeader published;
  published.set_crc32c(BlockChecksum(published, kPayloadCrc32c));
  flips = noticed = 0;
  ForEachFlippedBit(&published, [&] {
    ++flips;
    if (BlockChecksum(published, kPayloadCrc32c) != published.crc32c()) ++noticed;
  });
  CHECK(flips == 4 * 64 + 3 * 32 + 1);
  CHECK(noticed == flips);

  Norms norms;
  for (double norm : {0.0, 1e300, std::numeric_limits<double>::infinity()}) norms.add_squared_norms(norm);
  norms.set_crc32c(NormsChecksum(norms));
  flips = noticed = 0;
  ForEachFlippedBit(&norms, [&] {
    ++flips;
    if (NormsChecksum(norms) != norms.crc32c()) ++noticed;
  });
  CHECK(flips == 4 * 64 + 2 * 32 + 3 * 64);
  CHECK(noticed == flips);
}

}  // namespace
}  // namespace shoal
