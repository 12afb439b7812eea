// Checksums of data plane messages. They cover payload and header ("On the wire" in docs/byte-formats.md): a
// flipped bit in a round, a block or a loss is as bad as one in the parameters.
#pragma once

#include <cstdint>

#include "proto/parameter.pb.h"

namespace shoal {

// The value of the field crc32c: the CRC-32C of the payload, continued over the header's other fields in the
// order of their numbers, each as a little-endian integer of its width (double: its bits). So a payload that
// is sent under many headers (a published version, to each worker) is read only once. Pure.
uint32_t BlockChecksum(const ContributionHeader& header, uint32_t payload_crc32c);
uint32_t BlockChecksum(const PublishedHeader& header, uint32_t payload_crc32c);

// The same over all other fields.
uint32_t NormsChecksum(const Norms& norms);

}  // namespace shoal
