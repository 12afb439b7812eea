#include "server/block_sum.h"

#include <algorithm>
#include <utility>

#include "common/base/status.h"
#include "common/protocol/contribution_stats.h"
#include "kernels/optimizer.h"

namespace shoal::server {
namespace {

absl::Span<float> Piece(const FloatArray& values, uint64_t begin, uint64_t size) {
  return absl::MakeSpan(values.get() + begin, std::min(kSumPiece, size - begin));
}

// Both came from the network: decoded and added piece by piece, in one pass over memory.
FloatArray AddPayloads(const SumFormat& format, const Payload& left, const Payload& right, FloatArray sum) {
  SHOAL_CHECK(sum != nullptr);
  PayloadReader first(format.wire, left);
  PayloadReader second(format.wire, right);
  for (uint64_t begin = 0; begin < format.size; begin += kSumPiece) {
    const absl::Span<float> piece = Piece(sum, begin, format.size);
    first.Decode(piece);
    second.DecodeAddRoundToWire(piece);
  }
  return sum;
}

}  // namespace

FloatArray BlockSum::MergeValues(const SumFormat& format, BlockSum* left, BlockSum* right,
                                 FloatArray* spare) {
  if (left->values_ == nullptr && right->values_ == nullptr) {
    return AddPayloads(format, left->payload_, right->payload_, std::exchange(*spare, nullptr));
  }
  // Addition commutes, so the payload may be on either side.
  if (left->values_ == nullptr) std::swap(left, right);
  const absl::Span<float> sum = absl::MakeSpan(left->values_.get(), format.size);
  if (right->values_ == nullptr) {
    PayloadReader(format.wire, right->payload_).DecodeAddRoundToWire(sum);
  } else {
    AddRoundToWire(format.wire, sum, absl::MakeConstSpan(right->values_.get(), format.size), sum);
  }
  return std::move(left->values_);
}

BlockSum BlockSum::Merge(const SumFormat& format, BlockSum left, BlockSum right, FloatArray* spare) {
  BlockSum sum(Payload(), AddStats(left.stats_, right.stats_));
  sum.values_ = MergeValues(format, &left, &right, spare);
  return sum;
}

double BlockSum::SquaredNorm(const SumFormat& format) const {
  BlockSumReader reader(format.wire, *this);
  double sum = 0;
  for (uint64_t begin = 0; begin < format.size; begin += kSumPiece) {
    sum += kernels::SquaredNorm(reader.Next(std::min(kSumPiece, format.size - begin)));
  }
  return sum;
}

absl::Span<const float> BlockSumReader::Next(uint64_t count) {
  SHOAL_CHECK(count <= kSumPiece);
  if (sum_.values_ != nullptr) {
    next_ += count;
    return absl::MakeConstSpan(sum_.values_.get() + next_ - count, count);
  }
  const absl::Span<float> piece = absl::MakeSpan(scratch_, count);
  reader_.Decode(piece);
  return piece;
}

}  // namespace shoal::server
