#include "model/tokenizer/pipeline/sentencepiece_reader.h"

#include <algorithm>
#include <cfloat>
#include <limits>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/base/utf8.h"
#include "model/tokenizer/sentencepiece_constants.h"

namespace shoal::model::pipeline {
namespace {

using Piece = SentencePieceModel::Piece;

constexpr double kUserDefinedPenalty = 0.1;

absl::Status CheckModel(const SentencePieceModel& model) {
  const SentencePieceTrainerSpec& trainer = model.trainer_spec();
  if (trainer.model_type() != SentencePieceTrainerSpec::UNIGRAM) {
    return absl::InvalidArgumentError(absl::StrCat(
        "trainer_spec.model_type is ", SentencePieceTrainerSpec::ModelType_Name(trainer.model_type()),
        ", expected UNIGRAM; use the tokenizer.json of this model"));
  }
  if (trainer.treat_whitespace_as_suffix()) {
    return absl::InvalidArgumentError(
        "trainer_spec.treat_whitespace_as_suffix is true, which is not supported");
  }
  for (int id = 0; id < model.pieces_size(); ++id) {
    if (!model.pieces(id).piece().empty() && IsValidUtf8(model.pieces(id).piece())) continue;
    return absl::InvalidArgumentError(absl::StrCat("piece ", id, " is empty or not UTF-8"));
  }
  return absl::OkStatus();
}

bool IsSegment(const Piece& piece) {
  return piece.type() == SentencePieceModel_Piece_Type_NORMAL ||
         piece.type() == SentencePieceModel_Piece_Type_USER_DEFINED;
}

// The least and the greatest score of a normal piece; the latter is not below 0, as in SentencePiece.
std::pair<float, float> ScoreRange(const SentencePieceModel& model) {
  std::pair<float, float> range{FLT_MAX, FLT_MIN};
  for (const Piece& piece : model.pieces()) {
    if (piece.type() != SentencePieceModel_Piece_Type_NORMAL) continue;
    range.first = std::min(range.first, piece.score());
    range.second = std::max(range.second, piece.score());
  }
  return range;
}

}  // namespace

absl::StatusOr<SentencePieceModel> ParseSentencePieceModel(absl::string_view bytes) {
  SentencePieceModel model;
  if (bytes.size() > std::numeric_limits<int>::max() ||
      !model.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())) || model.pieces_size() == 0) {
    return absl::InvalidArgumentError("the bytes can't be parsed, or contain no pieces");
  }
  SHOAL_RETURN_IF_ERROR(CheckModel(model));
  return model;
}

UnigramPieces PiecesOf(const SentencePieceModel& model) {
  const auto [min_score, max_score] = ScoreRange(model);
  UnigramPieces result;
  result.unk_score = min_score - kUnknownPenalty;
  result.byte_fallback = model.trainer_spec().byte_fallback();
  for (const Piece& piece : model.pieces()) {
    const auto id = static_cast<uint32_t>(result.pieces.size());
    const bool user_defined = piece.type() == SentencePieceModel_Piece_Type_USER_DEFINED;
    const float length = static_cast<float>(piece.piece().size());
    const double score = user_defined ? length * max_score - kUserDefinedPenalty : piece.score();
    result.pieces.push_back({piece.piece(), score, IsSegment(piece)});
    if (piece.type() == SentencePieceModel_Piece_Type_UNKNOWN) result.unk_id = id;
  }
  return result;
}

}  // namespace shoal::model::pipeline
