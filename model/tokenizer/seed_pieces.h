// The initial pieces of the unigram trainer: frequent substrings of the words.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "model/tokenizer/training_words.h"

namespace shoal::model {

struct ScoredPiece {
  std::string text;
  double score = 0;  // log probability
};

// The maximum number of characters in a piece.
inline constexpr size_t kMaxPieceCharacters = 16;

// All of words.characters, and the `max_pieces` substrings that cover most text (occurrences × characters;
// ties by text) among those that occur at least twice and don't mix scripts: letters, digits and punctuation
// are not joined, as in SentencePiece. Ordered by text. Pure.
std::vector<ScoredPiece> SeedPieces(const TrainingWords& words, size_t max_pieces);

}  // namespace shoal::model
