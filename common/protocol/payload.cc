#include "common/protocol/payload.h"

#include <algorithm>

#include "common/base/crc32c.h"
#include "common/base/status.h"

namespace shoal {
namespace {

// The most bytes that an element has on the wire.
constexpr uint64_t kMaxElementBytes = 4;
// How much is encoded before its checksum is taken: 24 KiB of float32, which fit a first-level cache.
constexpr uint64_t kPieceElements = 6144;

// Keeps the bytes of a slice alive.
using Owner = std::shared_ptr<const void>;

// Called by gRPC with the slice's last reference. tests/tsan_suppressions.txt names it.
void ReleaseOwner(void* owner) { delete static_cast<Owner*>(owner); }

absl::Span<const uint8_t> BytesOf(const grpc::Slice& slice) { return {slice.begin(), slice.size()}; }

}  // namespace

Payload::Payload(std::vector<grpc::Slice> slices) : slices_(std::move(slices)) {
  for (const grpc::Slice& slice : slices_) size_ += slice.size();
}

Payload Payload::CopyOf(absl::Span<const uint8_t> bytes) {
  std::vector<grpc::Slice> slices;
  slices.emplace_back(bytes.data(), bytes.size());
  return Payload(std::move(slices));
}

Payload Payload::Refer(std::shared_ptr<const void> owner, absl::Span<const uint8_t> bytes) {
  std::vector<grpc::Slice> slices;
  // gRPC's signature is not const; it never writes to a slice that it did not allocate.
  slices.emplace_back(const_cast<uint8_t*>(bytes.data()), bytes.size(), &ReleaseOwner,
                      new Owner(std::move(owner)));
  return Payload(std::move(slices));
}

uint32_t Payload::Crc32c() const {
  uint32_t crc = 0;
  for (const grpc::Slice& slice : slices_) crc = ExtendCrc32c(crc, BytesOf(slice));
  return crc;
}

absl::Span<const uint8_t> PayloadReader::Available() {
  while (slice_ < payload_.slices().size() && used_ == payload_.slices()[slice_].size()) {
    ++slice_;
    used_ = 0;
  }
  SHOAL_CHECK(slice_ < payload_.slices().size());
  return BytesOf(payload_.slices()[slice_]).subspan(used_);
}

void PayloadReader::Read(Piece piece, absl::Span<float> elements) {
  while (!elements.empty()) {
    const absl::Span<const uint8_t> bytes = Available();
    const uint64_t count = std::min<uint64_t>(bytes.size() / element_bytes_, elements.size());
    if (count == 0) {
      ReadSplitElement(piece, elements.first(1));
      elements.remove_prefix(1);
      continue;
    }
    piece(format_, bytes.first(count * element_bytes_), elements.first(count));
    used_ += count * element_bytes_;
    elements.remove_prefix(count);
  }
}

void PayloadReader::ReadSplitElement(Piece piece, absl::Span<float> element) {
  uint8_t bytes[kMaxElementBytes];
  for (uint64_t i = 0; i < element_bytes_; ++i) {
    bytes[i] = Available().front();
    ++used_;
  }
  piece(format_, absl::MakeConstSpan(bytes, element_bytes_), element);
}

FloatArray PayloadEncoder::Memory(WireFormat format, uint64_t elements, ArrayPool* pool) {
  if (format == WIRE_FORMAT_F32) return nullptr;
  return pool->Acquire((EncodedBytes(format, elements) + sizeof(float) - 1) / sizeof(float));
}

PayloadEncoder::PayloadEncoder(WireFormat format, std::shared_ptr<const void> owner,
                               absl::Span<const float> values, FloatArray memory)
    : format_(format), owner_(std::move(owner)), values_(values) {
  SHOAL_CHECK(memory != nullptr || format == WIRE_FORMAT_F32);
  if (memory == nullptr) {
    bytes_ = reinterpret_cast<const uint8_t*>(values.data());
    return;
  }
  bytes_ = encoded_ = reinterpret_cast<uint8_t*>(memory.get());
  owner_ = std::move(memory);
}

void PayloadEncoder::AddPiece(uint64_t count) {
  const uint64_t begin = EncodedBytes(format_, added_), size = EncodedBytes(format_, count);
  if (encoded_ != nullptr) {
    Encode(format_, values_.subspan(added_, count), absl::MakeSpan(encoded_ + begin, size));
  }
  crc32c_ = ExtendCrc32c(crc32c_, absl::MakeConstSpan(bytes_ + begin, size));
  added_ += count;
}

void PayloadEncoder::Add(uint64_t count) {
  SHOAL_CHECK(count <= values_.size() - final_);
  final_ += count;
  while (final_ - added_ >= kPieceElements) AddPiece(kPieceElements);
}

PayloadEncoder::Encoded PayloadEncoder::Finish() {
  Add(values_.size() - final_);
  AddPiece(final_ - added_);
  const absl::Span<const uint8_t> bytes(bytes_, EncodedBytes(format_, values_.size()));
  return {Payload::Refer(std::move(owner_), bytes), crc32c_};
}

void PayloadReader::Decode(absl::Span<float> out) { Read(&shoal::Decode, out); }

void PayloadReader::DecodeAddRoundToWire(absl::Span<float> sum) { Read(&shoal::DecodeAddRoundToWire, sum); }

void DecodePayload(WireFormat format, const Payload& payload, absl::Span<float> out) {
  SHOAL_CHECK(payload.size() == EncodedBytes(format, out.size()));
  PayloadReader(format, payload).Decode(out);
}

}  // namespace shoal
