#include <algorithm>
#include <cfloat>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/base/utf8.h"
#include "model/tokenizer/pipeline/pipeline_files.h"
#include "model/tokenizer/pipeline/pipeline_parts.h"
#include "model/tokenizer/pipeline/sentencepiece_parts.h"
#include "model/tokenizer/sentencepiece.pb.h"
#include "model/tokenizer/sentencepiece_constants.h"
#include "model/tokenizer/text_normalizer.h"

namespace shoal::model {
namespace {

using Piece = SentencePieceModel::Piece;
using pipeline::Parts;
using pipeline::SentencePieceSpacing;
using pipeline::UnigramPieces;

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

// SentencePiece writes the map of every normal form but "identity" into its models. A form that is only named
// would be left out without a word.
absl::Status CheckNormalizer(const SentencePieceNormalizerSpec& normalizer) {
  const std::string& name = normalizer.name();
  if (!normalizer.precompiled_charsmap().empty() || name.empty() || name == "identity") {
    return absl::OkStatus();
  }
  if (FindNormalizer(name).has_value()) {
    return absl::InvalidArgumentError(
        absl::StrCat("normalizer_spec.name is '", name,
                     "', so this is a vocabulary that Shoal made; load it with model::LoadTokenizer"));
  }
  return absl::InvalidArgumentError(
      absl::StrCat("normalizer_spec.name is '", ToQuoted(name),
                   "' without a precompiled_charsmap, expected one, or the name 'identity'"));
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

UnigramPieces PiecesOf(const SentencePieceModel& model) {
  const auto [min_score, max_score] = ScoreRange(model);
  UnigramPieces result;
  result.unk_score = min_score - kUnknownPenalty;
  result.byte_fallback = model.trainer_spec().byte_fallback();
  result.float_sums = true;
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

std::vector<std::string> TextsOf(const SentencePieceModel& model, SentencePieceModel_Piece_Type type) {
  std::vector<std::string> texts;
  for (const Piece& piece : model.pieces()) {
    if (piece.type() == type) texts.push_back(piece.piece());
  }
  return texts;
}

std::unique_ptr<pipeline::Decoder> DecoderOf(const SentencePieceModel& model,
                                             const SentencePieceSpacing& spacing) {
  absl::flat_hash_map<std::string, std::string> surfaces;
  for (const std::string& text : TextsOf(model, SentencePieceModel_Piece_Type_CONTROL)) surfaces[text] = "";
  for (const std::string& text : TextsOf(model, SentencePieceModel_Piece_Type_UNKNOWN)) {
    surfaces[text] = std::string(kUnknownText);
  }
  return pipeline::MakeSentencePieceDecoder(std::move(surfaces), spacing);
}

absl::StatusOr<std::unique_ptr<PipelineTokenizer>> FromModel(const SentencePieceModel& model) {
  SHOAL_RETURN_IF_ERROR(CheckModel(model));
  const SentencePieceNormalizerSpec& normalizer = model.normalizer_spec();
  SHOAL_RETURN_IF_ERROR(CheckNormalizer(normalizer));
  const SentencePieceSpacing spacing{normalizer.add_dummy_prefix(), normalizer.remove_extra_whitespaces(),
                                     normalizer.escape_whitespaces()};
  pipeline::Charsmap map;
  if (!normalizer.precompiled_charsmap().empty()) {
    auto parsed = pipeline::Charsmap::Parse(normalizer.precompiled_charsmap());
    if (!parsed.ok()) return Annotate(parsed.status(), "normalizer_spec.precompiled_charsmap");
    map = *std::move(parsed);
  }
  Parts parts;
  parts.normalizer = pipeline::MakeSentencePieceNormalizer(
      std::move(map), TextsOf(model, SentencePieceModel_Piece_Type_USER_DEFINED), spacing);
  SHOAL_ASSIGN_OR_RETURN(parts.model, pipeline::MakeUnigram(PiecesOf(model)));
  parts.decoder = DecoderOf(model, spacing);
  return PipelineTokenizer::Make(std::move(parts));
}

}  // namespace

absl::StatusOr<std::unique_ptr<PipelineTokenizer>> LoadSentencePieceModel(absl::string_view bytes) {
  SentencePieceModel model;
  if (bytes.size() > std::numeric_limits<int>::max() ||
      !model.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())) || model.pieces_size() == 0) {
    return absl::InvalidArgumentError("SentencePiece model: the bytes can't be parsed, or contain no pieces");
  }
  auto result = FromModel(model);
  if (!result.ok()) return Annotate(result.status(), "SentencePiece model");
  return result;
}

}  // namespace shoal::model
