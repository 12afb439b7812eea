// The elements of a block on the wire: bytes in refcounted pieces, split anywhere.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "absl/types/span.h"
#include "common/base/array_pool.h"
#include "common/base/wire.h"
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

// Reads the elements of a payload in order, however it is split: its callers do so in pieces that fit a
// cache. Not thread-safe; the payload must outlive it. Reading more elements than there are is the caller's
// mistake: check Payload::size first.
class PayloadReader {
 public:
  PayloadReader(WireFormat format, const Payload& payload)
      : format_(format), element_bytes_(WireElementBytes(format)), payload_(payload) {}

  // out = the next out.size() elements.
  void Decode(absl::Span<float> out);

  // sum = RoundToWire(sum + the next sum.size() elements): see common/base/wire.h.
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

// Builds a payload and its checksum from elements that become final in order: each piece is encoded while it
// is in a cache. Not thread-safe.
class PayloadEncoder {
 public:
  // f32 refers to `values`, which `owner` keeps alive, without a copy; other formats take memory from `pool`.
  PayloadEncoder(WireFormat format, std::shared_ptr<const void> owner, absl::Span<const float> values,
                 ArrayPool* pool)
      : PayloadEncoder(format, std::move(owner), values, Memory(format, values.size(), pool)) {}
  // With memory from an earlier call of Memory.
  PayloadEncoder(WireFormat format, std::shared_ptr<const void> owner, absl::Span<const float> values,
                 FloatArray memory);
  // The memory that an encoder of `elements` elements takes from the pool; null for f32.
  static FloatArray Memory(WireFormat format, uint64_t elements, ArrayPool* pool);

  // The next `count` elements are final. They are read now or later, and must not change.
  void Add(uint64_t count);

  struct Encoded {
    Payload payload;
    uint32_t crc32c = 0;
  };
  // Adds the rest. The encoder can't be used afterwards.
  Encoded Finish();

 private:
  void AddPiece(uint64_t count);

  const WireFormat format_;
  std::shared_ptr<const void> owner_;  // of the bytes
  const absl::Span<const float> values_;
  const uint8_t* bytes_ = nullptr;  // of the whole payload
  uint8_t* encoded_ = nullptr;      // the same, to be written; null for f32
  uint64_t final_ = 0;              // elements
  uint64_t added_ = 0;              // of them, those that are encoded
  uint32_t crc32c_ = 0;
};

// out = all elements. payload.size() is EncodedBytes(format, out.size()).
void DecodePayload(WireFormat format, const Payload& payload, absl::Span<float> out);

}  // namespace shoal
