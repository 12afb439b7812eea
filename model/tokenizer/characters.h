// The characters of UTF-8 texts. Pure; may be called by any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "common/base/utf8.h"

namespace shoal::model {

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

// Whether byte `at` <= text.size() of a valid text is where a character begins or the text ends.
inline bool IsCharacterBoundary(absl::string_view text, size_t at) {
  return at == text.size() || (static_cast<uint8_t>(text[at]) & 0xC0) != 0x80;
}

bool IsAscii(absl::string_view text);

// `code` is a Unicode scalar value.
void AppendUtf8(uint32_t code, std::string* out);
std::string Utf8Of(uint32_t code);

// Appends the lower case of a character, without context: one character, except that U+0130 becomes "i" and
// U+0307.
void AppendLower(uint32_t code, std::string* out);

// `bytes` with U+FFFD in place of each maximal part of an ill-formed sequence, as browsers and Python do.
std::string ReplaceInvalidUtf8(absl::string_view bytes);

}  // namespace shoal::model
