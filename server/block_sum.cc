#include "server/block_sum.h"

#include <algorithm>
#include <utility>

#include "common/base/status.h"
#include "common/protocol/contribution_stats.h"
#include "kernels/optimizer.h"

namespace shoal::server {
namespace {

constexpr float kZeros[kSumPiece] = {};
static_assert(kSumPiece % PieceMap::kPiece == 0);

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

// Of pieces that one of the two lacks, the other one's value is still added to zeros, as a worker would: -0
// becomes +0.
FloatArray BlockSum::MergePieces(const SumFormat& format, BlockSum* left, BlockSum* right,
                                 FloatArray* spare) {
  if (left->values_ == nullptr) std::swap(left, right);  // addition commutes
  FloatArray sum = left->values_ != nullptr ? std::move(left->values_) : std::exchange(*spare, nullptr);
  SHOAL_CHECK(sum != nullptr);
  const bool in_place = left->payload_.empty();
  PayloadReader first(format.wire, left->payload_);
  PayloadReader second(format.wire, right->payload_);
  const auto has = [&](uint64_t begin) {
    return std::make_pair(left->pieces_.Has(begin / PieceMap::kPiece),
                          right->pieces_.Has(begin / PieceMap::kPiece));
  };
  uint64_t end = 0;
  for (uint64_t begin = 0; begin < format.size; begin = end) {
    const auto [has_left, has_right] = has(begin);
    // As many pieces at once as one or both have, up to kSumPiece elements.
    end = begin + PieceMap::kPiece;
    while (end < format.size && end - begin < kSumPiece && has(end) == std::make_pair(has_left, has_right))
      end += PieceMap::kPiece;
    end = std::min(end, format.size);
    if (!has_left && !has_right) continue;
    const uint64_t count = end - begin;
    const absl::Span<float> piece = absl::MakeSpan(sum.get() + begin, count);
    if (!has_left) std::fill(piece.begin(), piece.end(), 0.0f);
    if (has_left && !in_place) first.Decode(piece);
    if (has_right && right->values_ == nullptr) {
      second.DecodeAddRoundToWire(piece);
    } else {
      const float* const other = has_right ? right->values_.get() + begin : kZeros;
      AddRoundToWire(format.wire, piece, absl::MakeConstSpan(other, count), piece);
    }
  }
  return sum;
}

FloatArray BlockSum::MergeValues(const SumFormat& format, BlockSum* left, BlockSum* right,
                                 FloatArray* spare) {
  if (!left->pieces_.all() || !right->pieces_.all()) return MergePieces(format, left, right, spare);
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
  BlockSum sum(Payload(), PieceMap::Union(left.pieces_, right.pieces_), AddStats(left.stats_, right.stats_));
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
  const uint64_t begin = std::exchange(next_, next_ + count);
  if (!sum_.pieces_.HasAny(begin, next_)) return absl::MakeConstSpan(kZeros, count);
  if (sum_.values_ != nullptr && sum_.pieces_.all())
    return absl::MakeConstSpan(sum_.values_.get() + begin, count);
  const absl::Span<float> piece = absl::MakeSpan(scratch_, count);
  if (sum_.pieces_.all()) {
    reader_.Decode(piece);
  } else {
    FillPieces(begin, piece);
  }
  return piece;
}

void BlockSumReader::FillPieces(uint64_t begin, absl::Span<float> out) {
  for (uint64_t at = 0; at < out.size(); at += PieceMap::kPiece) {
    const absl::Span<float> piece = out.subspan(at, PieceMap::kPiece);
    if (!sum_.pieces_.Has((begin + at) / PieceMap::kPiece)) {
      std::fill(piece.begin(), piece.end(), 0.0f);
    } else if (sum_.values_ == nullptr) {
      reader_.Decode(piece);
    } else {
      std::copy_n(sum_.values_.get() + begin + at, piece.size(), piece.begin());
    }
  }
}

void Gather(const SumFormat& format, const BlockSum& sum, float* out) {
  BlockSumReader reader(format.wire, sum);
  for (uint64_t begin = 0; begin < format.size; begin += kSumPiece) {
    const absl::Span<const float> piece = reader.Next(std::min(kSumPiece, format.size - begin));
    std::copy(piece.begin(), piece.end(), out + begin);
  }
}

}  // namespace shoal::server
