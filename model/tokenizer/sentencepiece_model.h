// Reads SentencePiece's model files.
#pragma once

#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "model/tokenizer/tokenizer.h"
#include "model/tokenizer/unigram_tokenizer.h"

namespace shoal {

struct UnigramModel {
  std::vector<UnigramPiece> pieces;  // by id
  SpecialTokens special;             // pad is sep, and mask is unk, when the model has none
};

// Errors: INVALID_ARGUMENT, with what is wrong, for anything but a unigram model as TrainUnigram makes them:
// normalised by NormalizeText, words marked by a U+2581 before them, no pieces for bytes and none that the
// user defined. Never crashes.
absl::StatusOr<UnigramModel> ParseUnigramModel(absl::string_view bytes);

}  // namespace shoal
