// CRC-32C (Castagnoli polynomial, reflected, as in iSCSI, RFC 3720): detects damaged payloads, not tampering.
#pragma once

#include <cstdint>

#include "absl/types/span.h"

namespace shoal {

// The CRC of A followed by B, where `crc` is that of A and `bytes` is B. Thread-safe. Computed by ISA-L, with
// the processor's fastest instructions.
uint32_t ExtendCrc32c(uint32_t crc, absl::Span<const uint8_t> bytes);

inline uint32_t Crc32c(absl::Span<const uint8_t> bytes) { return ExtendCrc32c(0, bytes); }

}  // namespace shoal
