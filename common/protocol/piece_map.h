// Which pieces of a block a contribution contains. The others are zeros and are not sent: of an embedding
// table most rows have no gradient in a round.
#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace shoal {

// A block's pieces of kPiece elements, the last of which may be shorter. Pure; different objects may be used
// by different threads.
class PieceMap {
 public:
  static constexpr uint64_t kPiece = 16;

  // All pieces.
  PieceMap() = default;
  // Those of `values` that are not all +0, and at least one; all when few would be left out.
  static PieceMap OfNonZero(absl::Span<const float> values);
  // `bits`: ContributionHeader.pieces of a block of `elements` elements. Errors: INVALID_ARGUMENT when it has
  // another length, or names no piece or one that does not exist.
  static absl::StatusOr<PieceMap> Parse(absl::string_view bits, uint64_t elements);
  // Those that either has, of the same block.
  static PieceMap Union(const PieceMap& a, const PieceMap& b);

  bool all() const { return bits_.empty(); }
  bool Has(uint64_t piece) const {
    return all() || (static_cast<uint8_t>(bits_[piece / 8]) >> (piece % 8) & 1) != 0;
  }
  // Whether it has one of the pieces of elements [begin, end).
  bool HasAny(uint64_t begin, uint64_t end) const;
  // The number of elements in its pieces, of a block of `elements`.
  uint64_t Count(uint64_t elements) const;
  const std::string& bits() const { return bits_; }

  // out = its pieces of `values`, one after another; returns their number of elements.
  uint64_t Gather(absl::Span<const float> values, float* out) const;

 private:
  explicit PieceMap(std::string bits) : bits_(std::move(bits)) {}

  std::string bits_;  // empty: all
};

}  // namespace shoal
