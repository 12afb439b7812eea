#include "common/base/crc32c.h"

#include <numeric>
#include <string>
#include <vector>

#include "catch2/catch.hpp"
#include "common/base/philox.h"

namespace shoal {
namespace {

std::vector<uint8_t> RandomBytes(size_t size) {
  std::vector<uint8_t> bytes(size);
  for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<uint8_t>(UniformBits(1, i));
  return bytes;
}

uint32_t OfText(const std::string& text) {
  return Crc32c(absl::MakeConstSpan(reinterpret_cast<const uint8_t*>(text.data()), text.size()));
}

TEST_CASE("CRC-32C of the known vectors of RFC 3720, B.4") {
  CHECK(Crc32c(std::vector<uint8_t>(32, 0x00)) == 0x8A9136AA);
  CHECK(Crc32c(std::vector<uint8_t>(32, 0xFF)) == 0x62A8AB43);
  std::vector<uint8_t> rising(32);
  std::iota(rising.begin(), rising.end(), 0);
  CHECK(Crc32c(rising) == 0x46DD794E);
  CHECK(Crc32c(std::vector<uint8_t>(rising.rbegin(), rising.rend())) == 0x113FDB5C);
  CHECK(OfText("123456789") == 0xE3069283);
  CHECK(OfText("") == 0);
}

// By the definition, bit by bit.
uint32_t Definition(uint32_t crc, absl::Span<const uint8_t> bytes) {
  crc = ~crc;
  for (uint8_t byte : bytes) {
    crc ^= byte;
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc % 2 == 0 ? 0 : 0x82F63B78u);
  }
  return ~crc;
}

TEST_CASE("The CRC is that of the definition for every short length at every alignment, and for long ones") {
  const std::vector<uint8_t> bytes = RandomBytes(40000);
  std::vector<size_t> lengths(1700);
  std::iota(lengths.begin(), lengths.end(), 0);
  lengths.insert(lengths.end(), {12287, 12288, 12289, 13056, 24576, 39990});
  for (size_t length : lengths) {
    for (size_t offset = 0; offset < 8; ++offset) {
      if (length > 300 && offset != length % 8) continue;
      const auto piece = absl::MakeConstSpan(bytes).subspan(offset, length);
      INFO(length << " bytes from offset " << offset);
      REQUIRE(ExtendCrc32c(5, piece) == Definition(5, piece));
    }
  }
}

TEST_CASE("The CRC does not depend on the pieces in which the library computes it") {
  const std::vector<uint8_t> bytes = RandomBytes(300);
  const uint32_t whole = Definition(5, bytes);
  for (size_t piece = 1; piece <= 310; ++piece) {
    INFO("pieces of " << piece << " bytes");
    REQUIRE(internal::ExtendInPieces(5, bytes, piece) == whole);
  }
  CHECK(internal::ExtendInPieces(5, {}, 1) == 5);
}

TEST_CASE("Extending piece by piece is the CRC of the whole") {
  const std::vector<uint8_t> bytes = RandomBytes(30000);
  const absl::Span<const uint8_t> span = bytes;
  for (size_t cut : {0, 1, 7, 8, 100, 768, 12288, 29999, 30000}) {
    CHECK(ExtendCrc32c(Crc32c(span.first(cut)), span.subspan(cut)) == Crc32c(span));
  }
}

TEST_CASE("Every flipped bit changes the CRC") {
  std::vector<uint8_t> bytes = RandomBytes(100);
  const uint32_t crc = Crc32c(bytes);
  for (size_t bit = 0; bit < 8 * bytes.size(); ++bit) {
    bytes[bit / 8] ^= static_cast<uint8_t>(1 << bit % 8);
    CHECK(Crc32c(bytes) != crc);
    bytes[bit / 8] ^= static_cast<uint8_t>(1 << bit % 8);
  }
}

}  // namespace
}  // namespace shoal
