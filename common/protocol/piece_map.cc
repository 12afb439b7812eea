#include "common/protocol/piece_map.h"

#include <algorithm>
#include <cstring>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace shoal {
namespace {

uint64_t PiecesOf(uint64_t elements) { return (elements + PieceMap::kPiece - 1) / PieceMap::kPiece; }

bool IsZero(const float* values, uint64_t count) {
  uint64_t any = 0;
  if (count == PieceMap::kPiece) {
    uint64_t bits[PieceMap::kPiece / 2];
    std::memcpy(bits, values, sizeof(bits));
    for (uint64_t two : bits) any |= two;
    return any == 0;
  }
  for (uint64_t i = 0; i < count; ++i) {
    uint32_t bits;
    std::memcpy(&bits, values + i, sizeof(bits));
    any |= bits;
  }
  return any == 0;
}

void Set(uint64_t piece, std::string* bits) {
  (*bits)[piece / 8] = static_cast<char>(static_cast<uint8_t>((*bits)[piece / 8]) | 1u << (piece % 8));
}

}  // namespace

PieceMap PieceMap::OfNonZero(absl::Span<const float> values) {
  const uint64_t pieces = PiecesOf(values.size());
  std::string bits((pieces + 7) / 8, '\0');
  uint64_t count = 0;
  for (uint64_t piece = 0; piece < pieces; ++piece) {
    const uint64_t begin = piece * kPiece;
    if (IsZero(values.data() + begin, std::min(kPiece, values.size() - begin))) continue;
    Set(piece, &bits);
    if (++count > pieces / 2) return PieceMap();
  }
  if (count == 0 && pieces > 0) Set(0, &bits);  // so that no payload is empty
  return pieces > 1 ? PieceMap(std::move(bits)) : PieceMap();
}

absl::StatusOr<PieceMap> PieceMap::Parse(absl::string_view bits, uint64_t elements) {
  if (bits.empty()) return PieceMap();
  const uint64_t pieces = PiecesOf(elements);
  const auto error = [&](absl::string_view what) {
    return absl::InvalidArgumentError(absl::StrCat("pieces of ", elements, " elements: ", what));
  };
  if (bits.size() != (pieces + 7) / 8)
    return error(absl::StrCat(bits.size(), " bytes, expected ", (pieces + 7) / 8));
  if (pieces % 8 != 0 && static_cast<uint8_t>(bits.back()) >> (pieces % 8) != 0)
    return error("one that does not exist");
  if (bits.find_first_not_of('\0') == absl::string_view::npos) return error("none");
  return PieceMap(std::string(bits));
}

PieceMap PieceMap::Union(const PieceMap& a, const PieceMap& b) {
  if (a.all() || b.all()) return PieceMap();
  std::string bits = a.bits_;
  for (size_t i = 0; i < bits.size(); ++i) bits[i] = static_cast<char>(bits[i] | b.bits_[i]);
  return PieceMap(std::move(bits));
}

bool PieceMap::HasAny(uint64_t begin, uint64_t end) const {
  for (uint64_t piece = begin / kPiece; piece * kPiece < end; ++piece) {
    if (Has(piece)) return true;
  }
  return false;
}

uint64_t PieceMap::Count(uint64_t elements) const {
  if (all()) return elements;
  uint64_t count = 0;
  for (uint64_t begin = 0; begin < elements; begin += kPiece) {
    if (Has(begin / kPiece)) count += std::min(kPiece, elements - begin);
  }
  return count;
}

uint64_t PieceMap::Gather(absl::Span<const float> values, float* out) const {
  uint64_t gathered = 0;
  for (uint64_t begin = 0; begin < values.size(); begin += kPiece) {
    if (!Has(begin / kPiece)) continue;
    const uint64_t count = std::min(kPiece, values.size() - begin);
    std::memcpy(out + gathered, values.data() + begin, count * sizeof(float));
    gathered += count;
  }
  return gathered;
}

}  // namespace shoal
