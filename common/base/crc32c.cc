#include "common/base/crc32c.h"

#include <algorithm>

#include "isa-l/crc.h"

namespace shoal {
namespace {

// The library takes an int.
constexpr size_t kMaxPiece_bytes = 1 << 30;

}  // namespace

uint32_t ExtendCrc32c(uint32_t crc, absl::Span<const uint8_t> bytes) {
  return internal::ExtendInPieces(crc, bytes, kMaxPiece_bytes);
}

uint32_t internal::ExtendInPieces(uint32_t crc, absl::Span<const uint8_t> bytes, size_t max_piece_bytes) {
  while (!bytes.empty()) {
    const size_t size = std::min(bytes.size(), max_piece_bytes);
    // Its signature is not const; it does not write. It leaves the inversions of RFC 3720 to the caller.
    crc = ~crc32_iscsi(const_cast<uint8_t*>(bytes.data()), static_cast<int>(size), ~crc);
    bytes.remove_prefix(size);
  }
  return crc;
}

}  // namespace shoal
