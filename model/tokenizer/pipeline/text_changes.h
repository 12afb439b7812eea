// Changes of a text that several normalizers make.
#pragma once

#include <utility>

#include "model/tokenizer/pipeline/aligned_text.h"

namespace shoal::model::pipeline {

// Removes the characters for which removed(code) holds.
template <typename Predicate>
void RemoveCharacters(AlignedText* text, Predicate&& removed) {
  const std::string& bytes = text->text();
  AlignedTextWriter writer(*text);
  bool changed = false;
  for (size_t i = 0; i < bytes.size();) {
    const Character c = CharacterAt(bytes, i);
    if (removed(c.code)) {
      changed = true;
      writer.CopyTo(i);
      writer.SkipTo(i + c.bytes);
    }
    i += c.bytes;
  }
  if (!changed) return;
  writer.CopyTo(bytes.size());
  *text = std::move(writer).Finish();
}

// Each character's lower case, without context.
void Lowercase(AlignedText* text);

enum class UnicodeForm { kNfc, kNfd, kNfkc, kNfkd };

// The normal form of Unicode 9, which `tokenizers` has: characters of later versions stay as they are.
void ApplyUnicodeForm(UnicodeForm form, AlignedText* text);

// The bytes of a normal form are at most this many times those of the text.
inline constexpr double kMaxUnicodeGrowth = 11;

}  // namespace shoal::model::pipeline
