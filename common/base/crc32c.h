// CRC-32C (Castagnoli polynomial, reflected, as in iSCSI, RFC 3720): detects damaged payloads, not tampering.
#pragma once

#include <cstddef>
#include <cstdint>

#include "absl/types/span.h"

namespace shoal {

// The CRC of A followed by B, where `crc` is that of A and `bytes` is B. Thread-safe. Computed by ISA-L, with
// the processor's fastest instructions.
uint32_t ExtendCrc32c(uint32_t crc, absl::Span<const uint8_t> bytes);

inline uint32_t Crc32c(absl::Span<const uint8_t> bytes) { return ExtendCrc32c(0, bytes); }

namespace internal {

// ExtendCrc32c, with at most `max_piece_bytes` (positive, and no more than an int holds) given to the library
// at once. For tests: the pieces of ExtendCrc32c are larger than what they have memory for.
uint32_t ExtendInPieces(uint32_t crc, absl::Span<const uint8_t> bytes, size_t max_piece_bytes);

}  // namespace internal

}  // namespace shoal
