// The elements of a block as they travel: bytes in refcounted pieces, cut anywhere.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "absl/types/span.h"
#include "common/wire.h"
#include "grpcpp/support/slice.h"

namespace shoal {

// Bytes in slices that share ownership of their memory with whoever else holds them: a received message, a
// published version. Copying a Payload copies references. The bytes are immutable. Different objects may be
// used by different threads.
class Payload {
 public:
  Payload() = default;
  explicit Payload(std::vector<grpc::Slice> slices);

  // A copy of `bytes` (tests, simulation).
  static Payload CopyOf(absl::Span<const uint8_t> bytes);

  // Refers to memory that `owner` keeps alive, without a copy.
  static Payload Refer(std::shared_ptr<const void> owner, absl::Span<const uint8_t> bytes);

  uint64_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  const std::vector<grpc::Slice>& slices() const { return slices_; }

  // CRC-32C of all bytes.
  uint32_t Crc32c() const;

 private:
  std::vector<grpc::Slice> slices_;
  uint64_t size_ = 0;
};

// Reads the elements of a payload in order, whatever the cuts, in pieces that fit a cache. Not thread-safe;
// the payload must outlive it. Reading more elements than there are is the caller's mistake: check
// Payload::size first.
class PayloadReader {
 public:
  PayloadReader(WireFormat format, const Payload& payload)
      : format_(format), element_bytes_(WireElementBytes(format)), payload_(payload) {}

  // out = the next out.size() elements.
  void Decode(absl::Span<float> out);

  // sum = RoundToWire(sum + the next sum.size() elements): see common/wire.h.
  void DecodeAddRoundToWire(absl::Span<float> sum);

 private:
  using Piece = void (*)(WireFormat format, absl::Span<const uint8_t> bytes, absl::Span<float> elements);
  void Read(Piece piece, absl::Span<float> elements);
  absl::Span<const uint8_t> Available();
  void ReadSplitElement(Piece piece, absl::Span<float> element);

  const WireFormat format_;
  const uint64_t element_bytes_;
  const Payload& payload_;
  size_t slice_ = 0;   // the slice that is being read
  uint64_t used_ = 0;  // bytes of it
};

// out = all elements. payload.size() is EncodedBytes(format, out.size()).
void DecodePayload(WireFormat format, const Payload& payload, absl::Span<float> out);

}  // namespace shoal
