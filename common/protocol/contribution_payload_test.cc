#include "common/protocol/contribution_payload.h"

#include <cstring>
#include <string>
#include <vector>

#include "catch2/catch.hpp"
#include "common/base/philox.h"
#include "common/protocol/block_checksum.h"
#include "common/protocol/piece_map.h"

namespace shoal {
namespace {

constexpr uint64_t kPiece = PieceMap::kPiece;

// `size` values, zero except in `pieces`.
std::vector<float> Sparse(uint64_t size, const std::vector<uint64_t>& pieces) {
  std::vector<float> values(size);
  for (uint64_t piece : pieces) {
    for (uint64_t i = piece * kPiece; i < std::min(size, (piece + 1) * kPiece); ++i)
      values[i] = 0.5f * static_cast<float>(i + 1);
  }
  return values;
}

struct Encoded {
  ContributionHeader header;
  Payload payload;
};

Encoded Encode(const std::vector<float>& values, WireFormat wire) {
  static const auto& pool = *new std::shared_ptr<ArrayPool>(ArrayPool::Create());
  Encoded encoded;
  encoded.header.set_job(7);
  encoded.header.set_wire(wire);
  const auto owner = std::make_shared<std::vector<float>>(values);
  encoded.payload = EncodeContribution(owner, *owner, pool.get(), &encoded.header);
  return encoded;
}

TEST_CASE("A contribution has the pieces that are not zero, and reads back the same") {
  const WireFormat wire = GENERATE(WIRE_FORMAT_F32, WIRE_FORMAT_BF16, WIRE_FORMAT_F16);
  for (const auto& [size, pieces, sent] : std::vector<std::tuple<uint64_t, std::vector<uint64_t>, uint64_t>>{
           {10 * kPiece, {2, 3, 9}, 3 * kPiece},
           {10 * kPiece + 1, {10}, 1},
           {10 * kPiece, {}, kPiece},  // never empty
           {10 * kPiece, {0, 1, 2, 3, 4, 5}, 10 * kPiece},
           {kPiece, {}, kPiece},
           {3, {0}, 3}}) {
    std::vector<float> values = Sparse(size, pieces);
    RoundToWire(wire, absl::MakeSpan(values));
    const Encoded encoded = Encode(values, wire);
    CHECK(encoded.payload.size() == EncodedBytes(wire, sent));
    CHECK(encoded.header.pieces().empty() == (sent == size));
    CHECK(encoded.header.crc32c() == BlockChecksum(encoded.header, encoded.payload.Crc32c()));
    std::vector<float> read(size, 9.0f);
    REQUIRE(DecodeContribution(encoded.header, encoded.payload, absl::MakeSpan(read)).ok());
    CHECK(read == values);
  }
}

TEST_CASE("A piece of negative zeros is sent: what is left out reads as +0") {
  std::vector<float> values(8 * kPiece);
  values[3 * kPiece + 5] = -0.0f;
  const Encoded encoded = Encode(values, WIRE_FORMAT_F32);
  CHECK(encoded.payload.size() == kPiece * sizeof(float));
  std::vector<float> read(values.size(), 9.0f);
  REQUIRE(DecodeContribution(encoded.header, encoded.payload, absl::MakeSpan(read)).ok());
  CHECK(std::memcmp(read.data(), values.data(), values.size() * sizeof(float)) == 0);
}

TEST_CASE("The checksum covers the pieces") {
  Encoded encoded = Encode(Sparse(80 * kPiece, {4, 70}), WIRE_FORMAT_F32);
  const std::string pieces = encoded.header.pieces();
  REQUIRE(pieces.size() == 10);
  for (size_t bit = 0; bit < 8 * pieces.size(); ++bit) {
    std::string flipped = pieces;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << bit % 8));
    encoded.header.set_pieces(flipped);
    CHECK(encoded.header.crc32c() != BlockChecksum(encoded.header, encoded.payload.Crc32c()));
  }
}

TEST_CASE("Pieces that do not fit the block are refused") {
  const auto refused = [](const std::string& bits, uint64_t elements) {
    return absl::IsInvalidArgument(PieceMap::Parse(bits, elements).status());
  };
  CHECK(PieceMap::Parse("", 5).ok());
  CHECK(PieceMap::Parse(std::string("\x01\x00", 2), 9 * kPiece).ok());
  CHECK(PieceMap::Parse(std::string("\x00\x01", 2), 9 * kPiece)->Count(9 * kPiece - 3) == kPiece - 3);
  CHECK(refused(std::string("\x01\x02", 2), 9 * kPiece));
  CHECK(refused("\x01", 9 * kPiece));
  CHECK(refused(std::string("\x01\x00\x00", 3), 9 * kPiece));
  CHECK(refused(std::string(2, '\0'), 9 * kPiece));
  CHECK(refused("\x01", 0));
}

}  // namespace
}  // namespace shoal
