// CRC-32C (Castagnoli polynomial, reflected, as in iSCSI, RFC 3720): detects damaged payloads, not tampering.
#pragma once

#include <cstdint>

#include "absl/types/span.h"

namespace shoal {

// The CRC of A followed by B, where `crc` is that of A and `bytes` is B. Thread-safe.
// Uses AVX-512 or SSE4.2 where the processor has them; the result is the same without.
uint32_t ExtendCrc32c(uint32_t crc, absl::Span<const uint8_t> bytes);

inline uint32_t Crc32c(absl::Span<const uint8_t> bytes) { return ExtendCrc32c(0, bytes); }

namespace internal {

// The implementations. Those with a Has function may be called only where it returns true.
bool HasVectorCrc32c();
uint32_t ExtendCrc32cVector(uint32_t crc, absl::Span<const uint8_t> bytes);
bool HasHardwareCrc32c();
uint32_t ExtendCrc32cHardware(uint32_t crc, absl::Span<const uint8_t> bytes);
uint32_t ExtendCrc32cSoftware(uint32_t crc, absl::Span<const uint8_t> bytes);

}  // namespace internal
}  // namespace shoal
