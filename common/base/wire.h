// Elements of a block on the wire: float32, bfloat16 or IEEE half precision (WireFormat in
// proto/parameter.proto), all little-endian without padding. f32 is the identity.
//
// Rounding to bf16 and f16 is to nearest, ties to even; values beyond the largest finite one become infinity;
// NaN stays NaN (quiet, its upper payload bits kept). Decoding is exact. Every function gives the same bits
// on every processor, runs at about the speed of memory, and may be called from any thread. Bytes need no
// alignment. An invalid format (WireFormat_IsValid) or mismatched sizes are the caller's mistake and abort:
// check what came from the network first.
#pragma once

#include <cstdint>

#include "absl/types/span.h"
#include "proto/parameter.pb.h"

namespace shoal {

// Bytes of an element: 4 or 2.
uint64_t WireElementBytes(WireFormat format);

// Bytes of `elements` elements.
inline uint64_t EncodedBytes(WireFormat format, uint64_t elements) {
  return elements * WireElementBytes(format);
}

// out = values in `format`. out.size() is EncodedBytes(format, values.size()). No overlap.
void Encode(WireFormat format, absl::Span<const float> values, absl::Span<uint8_t> out);

// out = the values of `bytes`. bytes.size() is EncodedBytes(format, out.size()). No overlap.
void Decode(WireFormat format, absl::Span<const uint8_t> bytes, absl::Span<float> out);

// values = what the receiver of Encode(values) would decode.
void RoundToWire(WireFormat format, absl::Span<float> values);

// out = RoundToWire(left + right), the sum in f32: a node of the reduction tree. Sizes are equal; `out` may
// be `left` or `right`, but not overlap them otherwise.
void AddRoundToWire(WireFormat format, absl::Span<const float> left, absl::Span<const float> right,
                    absl::Span<float> out);

// sum = RoundToWire(sum + the values of `bytes`): a node one of whose children has just arrived from the
// network. Addition commutes, so it may be the left or the right one. Sizes as for Decode.
void DecodeAddRoundToWire(WireFormat format, absl::Span<const uint8_t> bytes, absl::Span<float> sum);

}  // namespace shoal
