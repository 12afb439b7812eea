#include "common/base/crc32c.h"

#include <immintrin.h>

#include <array>
#include <cstddef>
#include <cstring>

namespace shoal {
namespace {

// Polynomials over GF(2) in reflected order: bit 31 is x^0.
constexpr uint32_t kPolynomial = 0x82F63B78;
constexpr uint32_t kOne = 0x80000000;

constexpr uint32_t TimesX(uint32_t a) { return (a >> 1) ^ ((a & 1) != 0 ? kPolynomial : 0); }

// a * b modulo the polynomial.
constexpr uint32_t Multiply(uint32_t a, uint32_t b) {
  uint32_t product = 0;
  for (uint32_t bit = kOne; bit != 0; bit >>= 1, b = TimesX(b)) {
    if ((a & bit) != 0) product ^= b;
  }
  return product;
}

// For each of the four bytes of a 32-bit register, what each of its values contributes.
using ByteTables = std::array<std::array<uint32_t, 256>, 4>;

// Multiplies the register by x^(8 size_bytes), as that many zero bytes would. `size_bytes` is a power of two.
constexpr ByteTables ZerosTables(size_t size_bytes) {
  uint32_t power = TimesX(kOne);
  for (size_t bits = 1; bits < 8 * size_bytes; bits *= 2) power = Multiply(power, power);
  ByteTables tables = {};
  for (uint32_t byte = 0; byte < 4; ++byte) {
    for (uint32_t value = 0; value < 256; ++value) {
      tables[byte][value] = Multiply(power, value << (8 * byte));
    }
  }
  return tables;
}

// Slicing by four: table k has the CRC of a byte followed by k zero bytes.
constexpr ByteTables SlicingTables() {
  ByteTables tables = {};
  for (uint32_t value = 0; value < 256; ++value) {
    uint32_t crc = value;
    for (int k = 0; k < 4; ++k) {
      for (int bit = 0; bit < 8; ++bit) crc = TimesX(crc);
      tables[k][value] = crc;
    }
  }
  return tables;
}

constexpr ByteTables kSlicing = SlicingTables();

uint32_t Lookup(const ByteTables& tables, uint32_t crc) {
  return tables[0][crc & 255] ^ tables[1][(crc >> 8) & 255] ^ tables[2][(crc >> 16) & 255] ^
         tables[3][crc >> 24];
}

// The instruction has a latency of three cycles and a throughput of one: three streams side by side keep it
// busy. The sizes are a compromise: long streams are fast, short ones leave little to a single stream.
constexpr size_t kLongBytes = 4096;
constexpr size_t kShortBytes = 256;
constexpr ByteTables kLongZeros = ZerosTables(kLongBytes);
constexpr ByteTables kShortZeros = ZerosTables(kShortBytes);

__attribute__((target("sse4.2"))) inline uint64_t AddWord(uint64_t crc, const uint8_t* data) {
  uint64_t word;
  std::memcpy(&word, data, sizeof(word));
  return _mm_crc32_u64(crc, word);
}

// Consumes the front of `bytes`, three adjacent streams of kStreamBytes at a time.
template <size_t kStreamBytes>
__attribute__((target("sse4.2"))) uint32_t TakeTriples(uint32_t crc, const ByteTables& zeros,
                                                       absl::Span<const uint8_t>* bytes) {
  const uint8_t* data = bytes->data();
  size_t left = bytes->size();
  for (; left >= 3 * kStreamBytes; left -= 3 * kStreamBytes, data += 3 * kStreamBytes) {
    uint64_t crc0 = crc, crc1 = 0, crc2 = 0;
    for (size_t i = 0; i < kStreamBytes; i += 8) {
      crc0 = AddWord(crc0, data + i);
      crc1 = AddWord(crc1, data + kStreamBytes + i);
      crc2 = AddWord(crc2, data + 2 * kStreamBytes + i);
    }
    crc = Lookup(zeros, static_cast<uint32_t>(crc0)) ^ static_cast<uint32_t>(crc1);
    crc = Lookup(zeros, crc) ^ static_cast<uint32_t>(crc2);
  }
  *bytes = absl::MakeConstSpan(data, left);
  return crc;
}

// ---- carry-less multiplication ----
//
// As in "Fast CRC Computation for Generic Polynomials Using PCLMULQDQ" (Gopal et al., Intel, 2009), in
// vectors of four blocks of 128 bits: a block is replaced by its equivalent, modulo the polynomial, some bits
// later in the message, and added to the block there.

// x^n modulo the polynomial.
constexpr uint32_t PowerOfX(uint64_t n) {
  uint32_t power = kOne, square = TimesX(kOne);
  for (; n != 0; n >>= 1, square = Multiply(square, square)) {
    if ((n & 1) != 0) power = Multiply(power, square);
  }
  return power;
}

// The factors that move the first and the second 64 bits of a block by `bits`. In reflected order a product
// comes out multiplied by x; the exponents compensate for that.
constexpr uint64_t FirstFactor(uint64_t bits) { return uint64_t{PowerOfX(bits + 63)} << 32; }
constexpr uint64_t SecondFactor(uint64_t bits) { return uint64_t{PowerOfX(bits - 1)} << 32; }

constexpr size_t kVectorBytes = 64;
// Vectors folded in parallel: enough to hide the multiplication's latency.
constexpr size_t kVectors = 4;
constexpr size_t kFoldBytes = kVectors * kVectorBytes;

// `later` plus the equivalent there of `vector`, which is `kBits` before it.
template <uint64_t kBits>
__attribute__((target("avx512f,vpclmulqdq"))) inline __m512i Fold(__m512i vector, __m512i later) {
  constexpr long long kFirst = FirstFactor(kBits), kSecond = SecondFactor(kBits);
  const __m512i factors =
      _mm512_set_epi64(kSecond, kFirst, kSecond, kFirst, kSecond, kFirst, kSecond, kFirst);
  const __m512i first = _mm512_clmulepi64_epi128(vector, factors, 0x00);
  const __m512i second = _mm512_clmulepi64_epi128(vector, factors, 0x11);
  constexpr int kXor3 = 0x96;
  return _mm512_ternarylogic_epi64(first, second, later, kXor3);
}

using ExtendFunction = uint32_t (*)(uint32_t, absl::Span<const uint8_t>);

}  // namespace

namespace internal {

bool HasHardwareCrc32c() { return __builtin_cpu_supports("sse4.2") != 0; }

__attribute__((target("sse4.2"))) uint32_t ExtendCrc32cHardware(uint32_t crc,
                                                                absl::Span<const uint8_t> bytes) {
  crc = TakeTriples<kLongBytes>(~crc, kLongZeros, &bytes);
  crc = TakeTriples<kShortBytes>(crc, kShortZeros, &bytes);
  while (bytes.size() >= 8) {
    crc = static_cast<uint32_t>(AddWord(crc, bytes.data()));
    bytes.remove_prefix(8);
  }
  for (uint8_t byte : bytes) crc = _mm_crc32_u8(crc, byte);
  return ~crc;
}

bool HasVectorCrc32c() {
  return HasHardwareCrc32c() && __builtin_cpu_supports("avx512f") != 0 &&
         __builtin_cpu_supports("vpclmulqdq") != 0;
}

__attribute__((target("avx512f,vpclmulqdq,sse4.2"))) uint32_t ExtendCrc32cVector(
    uint32_t crc, absl::Span<const uint8_t> bytes) {
  if (bytes.size() < 2 * kFoldBytes) return ExtendCrc32cHardware(crc, bytes);
  const uint8_t* data = bytes.data();
  __m512i sums[kVectors];
  for (size_t i = 0; i < kVectors; ++i) sums[i] = _mm512_loadu_si512(data + i * kVectorBytes);
  sums[0] = _mm512_xor_si512(sums[0], _mm512_maskz_set1_epi32(1, static_cast<int>(~crc)));
  size_t left = bytes.size() - kFoldBytes;
  for (data += kFoldBytes; left >= kFoldBytes; left -= kFoldBytes, data += kFoldBytes) {
    for (size_t i = 0; i < kVectors; ++i)
      sums[i] = Fold<8 * kFoldBytes>(sums[i], _mm512_loadu_si512(data + i * kVectorBytes));
  }
  for (size_t i = 1; i < kVectors; ++i) sums[i] = Fold<8 * kVectorBytes>(sums[i - 1], sums[i]);
  uint8_t last[kVectorBytes];
  _mm512_storeu_si512(last, sums[kVectors - 1]);
  uint64_t rest = 0;
  for (size_t i = 0; i < kVectorBytes; i += 8) rest = AddWord(rest, last + i);
  return ExtendCrc32cHardware(~static_cast<uint32_t>(rest), absl::MakeConstSpan(data, left));
}

uint32_t ExtendCrc32cSoftware(uint32_t crc, absl::Span<const uint8_t> bytes) {
  crc = ~crc;
  while (bytes.size() >= 4) {
    uint32_t word;
    std::memcpy(&word, bytes.data(), sizeof(word));
    word ^= crc;
    crc = kSlicing[3][word & 255] ^ kSlicing[2][(word >> 8) & 255] ^ kSlicing[1][(word >> 16) & 255] ^
          kSlicing[0][word >> 24];
    bytes.remove_prefix(4);
  }
  for (uint8_t byte : bytes) crc = (crc >> 8) ^ kSlicing[0][(crc ^ byte) & 255];
  return ~crc;
}

}  // namespace internal

uint32_t ExtendCrc32c(uint32_t crc, absl::Span<const uint8_t> bytes) {
  static const ExtendFunction extend = internal::HasVectorCrc32c()     ? internal::ExtendCrc32cVector
                                       : internal::HasHardwareCrc32c() ? internal::ExtendCrc32cHardware
                                                                       : internal::ExtendCrc32cSoftware;
  return extend(crc, bytes);
}

}  // namespace shoal
