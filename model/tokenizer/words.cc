#include "model/tokenizer/words.h"

#include "absl/strings/ascii.h"
#include "model/tokenizer/characters.h"
#include "unicode/uchar.h"

namespace shoal::model {
namespace {

enum class Role { kLetter, kAlone, kSpace };

Role RoleOf(uint32_t code) {
  const auto character = static_cast<UChar32>(code);
  if (u_isUWhiteSpace(character) || u_iscntrl(character)) return Role::kSpace;
  // Of ASCII, symbols such as '$' count as punctuation, too.
  const bool is_mark =
      code < 0x80 ? absl::ascii_ispunct(static_cast<unsigned char>(code)) : u_ispunct(character);
  return is_mark || u_hasBinaryProperty(character, UCHAR_IDEOGRAPHIC) ? Role::kAlone : Role::kLetter;
}

}  // namespace

std::vector<TextSpan> SplitWords(absl::string_view text) {
  std::vector<TextSpan> words;
  Role before = Role::kSpace;
  uint32_t place = 0;
  for (size_t at = 0; at < text.size(); ++place) {
    const Character character = CharacterAt(text, at);
    const Role role = RoleOf(character.code);
    const bool continues = role == Role::kLetter && before == Role::kLetter;
    if (role != Role::kSpace && !continues) words.push_back({place, place});
    if (role != Role::kSpace) words.back().end = place + 1;
    before = role;
    at += character.bytes;
  }
  return words;
}

}  // namespace shoal::model
