// Characters of UTF-8 texts and their classes.
//
// The classes that `tokenizers` takes from tables of an older Unicode are cut back to that version here.
// The others are ICU's, so characters that ICU does not know yet (Unicode 15.1 and later with ICU 72) have
// no class. Pure; may be called by any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace shoal::model::pipeline {

struct Character {
  uint32_t code = 0;
  uint32_t bytes = 0;  // of its UTF-8 form
};

// The character of `text`, which is valid UTF-8, that begins at byte `at` < text.size().
inline Character CharacterAt(absl::string_view text, size_t at) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[at + i]); };
  const uint32_t lead = byte(0);
  if (lead < 0x80) return {lead, 1};
  if (lead < 0xE0) return {(lead & 0x1F) << 6 | (byte(1) & 0x3Fu), 2};
  if (lead < 0xF0) return {(lead & 0x0F) << 12 | (byte(1) & 0x3Fu) << 6 | (byte(2) & 0x3Fu), 3};
  return {(lead & 0x07) << 18 | (byte(1) & 0x3Fu) << 12 | (byte(2) & 0x3Fu) << 6 | (byte(3) & 0x3Fu), 4};
}

// The character of `text`, which is valid UTF-8, that ends at byte `end` > 0.
Character CharacterBefore(absl::string_view text, size_t end);

// `code` is a Unicode scalar value.
void AppendUtf8(uint32_t code, std::string* out);
std::string Utf8Of(uint32_t code);

bool IsAscii(absl::string_view text);
size_t CountCharacters(absl::string_view text);

// `bytes` with U+FFFD in place of each maximal part of an ill-formed sequence, as browsers and Python do.
std::string ReplaceInvalidUtf8(absl::string_view bytes);

// Whether byte `at` <= text.size() of a valid text is where a character begins or the text ends.
inline bool IsCharacterBoundary(absl::string_view text, size_t at) {
  return at == text.size() || (static_cast<uint8_t>(text[at]) & 0xC0) != 0x80;
}

bool IsWhiteSpace(uint32_t code);     // property White_Space
bool IsLetter(uint32_t code);         // categories L*
bool IsNumber(uint32_t code);         // categories N*
bool IsWordCharacter(uint32_t code);  // \w of Unicode's regular expressions

bool IsPunctuation(uint32_t code);       // categories P* of Unicode 8, and ASCII's symbols
bool IsBertControl(uint32_t code);       // categories Cc, Cf and Co of Unicode 8, except tab, CR and LF
bool IsNonspacingMark(uint32_t code);    // category Mn of Unicode 8
bool IsCombiningMark(uint32_t code);     // categories M* of Unicode 9
bool IsChineseCharacter(uint32_t code);  // BERT's ranges

// Whether the character was assigned in Unicode 9 or before.
bool IsInUnicode9(uint32_t code);

}  // namespace shoal::model::pipeline
