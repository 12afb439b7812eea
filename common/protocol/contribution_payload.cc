#include "common/protocol/contribution_payload.h"

#include <algorithm>
#include <utility>

#include "common/base/status.h"
#include "common/protocol/block_checksum.h"
#include "common/protocol/piece_map.h"

namespace shoal {

Payload EncodeContribution(std::shared_ptr<const void> owner, absl::Span<const float> values, ArrayPool* pool,
                           ContributionHeader* header) {
  const PieceMap pieces = PieceMap::OfNonZero(values);
  if (!pieces.all()) {
    header->set_pieces(pieces.bits());
    const FloatArray gathered = pool->Acquire(values.size());  // that size, since the pool has such arrays
    values = absl::MakeConstSpan(gathered.get(), pieces.Gather(values, gathered.get()));
    owner = gathered;
  }
  PayloadEncoder encoder(header->wire(), std::move(owner), values, pool);
  PayloadEncoder::Encoded encoded = encoder.Finish();
  header->set_crc32c(BlockChecksum(*header, encoded.crc32c));
  return std::move(encoded.payload);
}

absl::Status DecodeContribution(const ContributionHeader& header, const Payload& payload,
                                absl::Span<float> out) {
  SHOAL_ASSIGN_OR_RETURN(const PieceMap pieces, PieceMap::Parse(header.pieces(), out.size()));
  if (payload.size() != EncodedBytes(header.wire(), pieces.Count(out.size())))
    return absl::InvalidArgumentError("a payload of another size");
  PayloadReader reader(header.wire(), payload);
  for (uint64_t begin = 0; begin < out.size(); begin += PieceMap::kPiece) {
    const absl::Span<float> piece = out.subspan(begin, PieceMap::kPiece);
    if (pieces.Has(begin / PieceMap::kPiece)) {
      reader.Decode(piece);
    } else {
      std::fill(piece.begin(), piece.end(), 0.0f);
    }
  }
  return absl::OkStatus();
}

}  // namespace shoal
