// Reads the unigram models that Shoal makes, in SentencePiece's file format.
#pragma once

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "model/tokenizer/pipeline/subword_model.h"
#include "model/tokenizer/text_normalizer.h"
#include "model/tokenizer/tokenizer.h"

namespace shoal::model {

struct UnigramModel {
  pipeline::UnigramPieces unigram;
  LetterCase letter_case = LetterCase::kKept;
  SpecialTokens special;  // pad is sep, and mask is unk, when the model has none
};

// Errors: INVALID_ARGUMENT, with the reason, for anything but a unigram model like those of TrainUnigram:
// normalized by NormalizeText, each word preceded by a U+2581, no byte pieces and no user-defined ones. Never
// crashes.
absl::StatusOr<UnigramModel> ParseUnigramModel(absl::string_view bytes);

}  // namespace shoal::model
