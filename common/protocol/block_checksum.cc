#include "common/protocol/block_checksum.h"

#include <cstring>

#include "absl/strings/string_view.h"
#include "common/base/crc32c.h"

namespace shoal {
namespace {

// Continues a CRC over fields.
class FieldChecksum {
 public:
  explicit FieldChecksum(uint32_t crc) : crc_(crc) {}

  void Add32(uint32_t value) { AddNumber(value, 4); }
  void Add64(uint64_t value) { AddNumber(value, 8); }
  void AddBytes(absl::string_view bytes) {
    crc_ =
        ExtendCrc32c(crc_, absl::MakeConstSpan(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()));
  }
  void AddDouble(double value) {
    uint64_t bits;
    std::memcpy(&bits, &value, sizeof(bits));
    Add64(bits);
  }
  uint32_t crc() const { return crc_; }

 private:
  void AddNumber(uint64_t value, int bytes) {
    uint8_t little_endian[8];
    for (int i = 0; i < bytes; ++i) little_endian[i] = static_cast<uint8_t>(value >> (8 * i));
    crc_ = ExtendCrc32c(crc_, absl::MakeConstSpan(little_endian, bytes));
  }

  uint32_t crc_;
};

}  // namespace

uint32_t BlockChecksum(const ContributionHeader& header, uint32_t payload_crc32c) {
  FieldChecksum checksum(payload_crc32c);
  checksum.Add64(header.job());
  checksum.Add64(header.view());
  checksum.Add64(header.round());
  checksum.Add32(header.slot_begin());
  checksum.Add32(header.slot_end());
  checksum.Add32(header.block());
  checksum.Add64(header.stats().weight());
  checksum.Add64(header.stats().tokens());
  checksum.AddDouble(header.stats().loss());
  checksum.Add64(header.stats().examples());
  checksum.Add32(static_cast<uint32_t>(header.wire()));
  checksum.Add64(header.training_id());
  checksum.AddBytes(header.pieces());
  return checksum.crc();
}

uint32_t BlockChecksum(const PublishedHeader& header, uint32_t payload_crc32c) {
  FieldChecksum checksum(payload_crc32c);
  checksum.Add64(header.job());
  checksum.Add64(header.view());
  checksum.Add64(header.version());
  checksum.Add32(header.block());
  checksum.Add32(static_cast<uint32_t>(header.wire()));
  checksum.Add64(header.training_id());
  checksum.Add32(header.with_average() ? 1 : 0);
  return checksum.crc();
}

uint32_t NormsChecksum(const Norms& norms) {
  FieldChecksum checksum(0);
  checksum.Add64(norms.job());
  checksum.Add64(norms.view());
  checksum.Add64(norms.round());
  checksum.Add32(norms.shard());
  for (double squared_norm : norms.squared_norms()) checksum.AddDouble(squared_norm);
  checksum.Add64(norms.training_id());
  return checksum.crc();
}

}  // namespace shoal
