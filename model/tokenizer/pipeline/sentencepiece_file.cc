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
#include "model/tokenizer/pipeline/sentencepiece_reader.h"
#include "model/tokenizer/sentencepiece.pb.h"
#include "model/tokenizer/sentencepiece_constants.h"
#include "model/tokenizer/text_normalizer.h"

namespace shoal::model {
namespace {

using Piece = SentencePieceModel::Piece;
using pipeline::Parts;
using pipeline::SentencePieceSpacing;

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

absl::StatusOr<std::unique_ptr<PipelineTokenizer>> FromBytes(absl::string_view bytes) {
  SHOAL_ASSIGN_OR_RETURN(const SentencePieceModel model, pipeline::ParseSentencePieceModel(bytes));
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
  pipeline::UnigramPieces pieces = pipeline::PiecesOf(model);
  pieces.float_sums = true;
  SHOAL_ASSIGN_OR_RETURN(parts.model, pipeline::MakeUnigram(pieces));
  parts.decoder = DecoderOf(model, spacing);
  return PipelineTokenizer::Make(std::move(parts));
}

}  // namespace

absl::StatusOr<std::unique_ptr<PipelineTokenizer>> LoadSentencePieceModel(absl::string_view bytes) {
  auto result = FromBytes(bytes);
  if (!result.ok()) return Annotate(result.status(), "SentencePiece model");
  return result;
}

}  // namespace shoal::model
