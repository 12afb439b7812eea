// Reads the unigram models in SentencePiece's file format, whoever made them.
#pragma once

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "model/tokenizer/pipeline/subword_model.h"
#include "model/tokenizer/sentencepiece.pb.h"

namespace shoal::model::pipeline {

// Safe for any bytes. Errors: INVALID_ARGUMENT, with the reason, when they are not a model, it is not of type
// unigram, it ends words rather than beginning them with a space, or a piece is empty or not UTF-8.
absl::StatusOr<SentencePieceModel> ParseSentencePieceModel(absl::string_view bytes);

// The pieces with the scores that SentencePiece gives them; sums as in `tokenizers` (float_sums is not set).
UnigramPieces PiecesOf(const SentencePieceModel& model);

}  // namespace shoal::model::pipeline
