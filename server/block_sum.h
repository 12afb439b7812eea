// The sum of a block's contributions over a node of the slot tree, kept encoded, as received, for as long as
// possible.
#pragma once

#include <cstdint>
#include <memory>

#include "absl/types/span.h"
#include "common/base/array_pool.h"
#include "common/protocol/payload.h"
#include "common/protocol/piece_map.h"
#include "proto/parameter.pb.h"

namespace shoal::server {

// What all sums of a block have in common.
struct SumFormat {
  WireFormat wire = WIRE_FORMAT_F32;
  uint64_t size = 0;  // elements
};

// Either the payload of one contribution, as received, or float32 values that are representable in the wire
// format: the first contribution for a range costs no pass over memory, and when one worker has reduced all
// slots there is no pass at all before the update. Pieces that no contribution has are zeros, and cost
// nothing. Movable; not thread-safe.
class BlockSum {
 public:
  // `payload` has EncodedBytes(wire, pieces.Count(size)) bytes.
  BlockSum(Payload payload, PieceMap pieces, ContributionStats stats)
      : payload_(std::move(payload)), pieces_(std::move(pieces)), stats_(std::move(stats)) {}

  // The parent's value: round_to_wire(left + right). When both are payloads, the result takes over `*spare`,
  // an array of that size. The merges that one contribution triggers take it at most once.
  static BlockSum Merge(const SumFormat& format, BlockSum left, BlockSum right, FloatArray* spare);

  const ContributionStats& stats() const { return stats_; }

  // Sum of the squares in f64: pieces of kSumPiece elements (SquaredNorm in kernels/optimizer.h), added in
  // order.
  double SquaredNorm(const SumFormat& format) const;

 private:
  friend class BlockSumReader;

  static FloatArray MergeValues(const SumFormat& format, BlockSum* left, BlockSum* right, FloatArray* spare);
  static FloatArray MergePieces(const SumFormat& format, BlockSum* left, BlockSum* right, FloatArray* spare);

  FloatArray values_;  // null: payload_ has the values; else [size], of which those of pieces_ count
  Payload payload_;
  PieceMap pieces_;
  ContributionStats stats_;
};

// Number of elements processed at a time, so that a piece stays in the L1 cache from pass to pass.
inline constexpr uint64_t kSumPiece = 2048;

// Reads a sum in order. The sum must outlive it. Not thread-safe.
class BlockSumReader {
 public:
  BlockSumReader(WireFormat wire, const BlockSum& sum) : sum_(sum), reader_(wire, sum.payload_) {}

  // The next `count` elements: kSumPiece, and fewer only at the end. Valid until the next call.
  absl::Span<const float> Next(uint64_t count);

 private:
  void FillPieces(uint64_t begin, absl::Span<float> out);

  const BlockSum& sum_;
  PayloadReader reader_;
  uint64_t next_ = 0;
  alignas(64) float scratch_[kSumPiece];
};

// Writes all elements to `out`, of format.size.
void Gather(const SumFormat& format, const BlockSum& sum, float* out);

}  // namespace shoal::server
