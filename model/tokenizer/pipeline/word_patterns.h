// The regular expressions with which byte-level vocabularies cut a text into words, as hand-written matchers:
// a general engine takes most of the time of a tokenizer.
#pragma once

#include <cstddef>
#include <optional>

#include "absl/strings/string_view.h"

namespace shoal::model::pipeline {

enum class WordPattern {
  kGpt2,    // contractions in lower case; letters, digits or others, with the space before them
  kLlama3,  // contractions in any case; letters with any character before them; up to three digits
  kQwen2,   // the same with single digits
};

// The pattern whose text is exactly `regex`.
std::optional<WordPattern> FindWordPattern(absl::string_view regex);

// The end of the word of `text` (valid UTF-8) that begins at byte `begin` < text.size(). The patterns match
// everywhere, so a text is all words. Linear in the length of the word and the white space after it.
size_t WordEnd(WordPattern pattern, absl::string_view text, size_t begin);

}  // namespace shoal::model::pipeline
