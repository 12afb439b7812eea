#include "model/tokenizer/byte_alphabet.h"

#include <array>

#include "model/tokenizer/characters.h"

namespace shoal::model {
namespace {

constexpr uint32_t kFirstOther = 0x100;
constexpr int kOthers = 68;

bool IsVisible(uint32_t byte) {
  return (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

struct Alphabet {
  std::array<std::string, 256> characters;
  std::array<uint8_t, kOthers> others{};
};

const Alphabet& TheAlphabet() {
  static const Alphabet* const alphabet = [] {
    auto* result = new Alphabet;
    uint32_t others = 0;
    for (uint32_t byte = 0; byte < 256; ++byte) {
      if (!IsVisible(byte)) result->others[others] = static_cast<uint8_t>(byte);
      result->characters[byte] = Utf8Of(IsVisible(byte) ? byte : kFirstOther + others++);
    }
    return result;
  }();
  return *alphabet;
}

}  // namespace

absl::string_view ByteCharacter(uint8_t byte) { return TheAlphabet().characters[byte]; }

std::optional<uint8_t> ByteOfCharacter(uint32_t code) {
  if (code < 256 && IsVisible(code)) return static_cast<uint8_t>(code);
  if (code >= kFirstOther && code < kFirstOther + kOthers) return TheAlphabet().others[code - kFirstOther];
  return std::nullopt;
}

}  // namespace shoal::model
