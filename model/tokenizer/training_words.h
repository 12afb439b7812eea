// A corpus as the unigram trainer sees it: distinct words and how often they occur.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "model/tokenizer/text_normalizer.h"

namespace shoal::model {

struct TrainingWord {
  std::string text;  // begins with U+2581, unless it follows a cut
  uint64_t count = 0;
};

struct TrainingWords {
  std::vector<TrainingWord> words;      // by text
  std::vector<std::string> characters;  // that get a piece: every character of `words` and of `required`
  size_t left_out = 0;                  // distinct characters of the lines that get none
};

// The maximum number of characters in a training word: longer ones (scripts without spaces) are cut.
inline constexpr size_t kMaxWordCharacters = 32;

// Normalizes the lines and counts their words. Characters beyond `coverage` of all their occurrences (the
// rarest) get no piece and cut a word; those of `required`, which is in normal form, always get one. Pure.
TrainingWords CountWords(absl::Span<const absl::string_view> lines, LetterCase letter_case, double coverage,
                         absl::string_view required);

// `text` as its characters. `text` is UTF-8.
std::vector<absl::string_view> SplitCharacters(absl::string_view text);

}  // namespace shoal::model
