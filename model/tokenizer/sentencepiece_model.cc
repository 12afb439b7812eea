#include "model/tokenizer/sentencepiece_model.h"

#include <cmath>
#include <cstdint>
#include <string>

#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/base/utf8.h"
#include "model/tokenizer/sentencepiece.pb.h"

namespace shoal::model {
namespace {

using Piece = SentencePieceModel::Piece;

absl::Status Invalid(absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("SentencePiece model: ", what));
}

absl::Status CheckSpecs(const SentencePieceModel& model) {
  const SentencePieceTrainerSpec& trainer = model.trainer_spec();
  const SentencePieceNormalizerSpec& normalizer = model.normalizer_spec();
  if (trainer.model_type() != SentencePieceTrainerSpec::UNIGRAM) {
    return Invalid(absl::StrCat("expected type UNIGRAM, got ",
                                SentencePieceTrainerSpec::ModelType_Name(trainer.model_type())));
  }
  if (trainer.byte_fallback() || trainer.treat_whitespace_as_suffix()) {
    return Invalid("byte_fallback and treat_whitespace_as_suffix are not supported");
  }
  if (!normalizer.add_dummy_prefix() || !normalizer.remove_extra_whitespaces() ||
      !normalizer.escape_whitespaces()) {
    return Invalid("expected add_dummy_prefix, remove_extra_whitespaces and escape_whitespaces to be true");
  }
  return absl::OkStatus();
}

absl::StatusOr<LetterCase> LetterCaseOf(const SentencePieceNormalizerSpec& normalizer) {
  if (normalizer.precompiled_charsmap().empty()) {
    if (const auto letter_case = FindNormalizer(normalizer.name())) return *letter_case;
  }
  return Invalid(absl::StrCat("expected normalization rule '", NormalizerName(LetterCase::kKept), "' or '",
                              NormalizerName(LetterCase::kLower), "', got '", normalizer.name(),
                              "': only vocabularies made by Shoal are supported in this version"));
}

absl::Status CheckPiece(const Piece& piece, int id) {
  if (piece.piece().empty() || !IsValidUtf8(piece.piece())) {
    return Invalid(absl::StrCat("piece ", id, " is empty or not UTF-8"));
  }
  if (!std::isfinite(piece.score()))
    return Invalid(absl::StrCat("the score of piece ", id, " is not finite"));
  if (piece.type() == SentencePieceModel_Piece_Type_USER_DEFINED ||
      piece.type() == SentencePieceModel_Piece_Type_BYTE) {
    return Invalid(absl::StrCat("piece ", id, " '", piece.piece(),
                                "' is user-defined or a byte, which is not supported"));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<UnigramPiece>> ReadPieces(const SentencePieceModel& model) {
  std::vector<UnigramPiece> pieces;
  absl::flat_hash_set<absl::string_view> seen;
  for (int id = 0; id < model.pieces_size(); ++id) {
    const Piece& piece = model.pieces(id);
    SHOAL_RETURN_IF_ERROR(CheckPiece(piece, id));
    if (!seen.insert(piece.piece()).second)
      return Invalid(absl::StrCat("piece '", piece.piece(), "' appears twice"));
    pieces.push_back({piece.piece(), piece.score(), piece.type() != SentencePieceModel_Piece_Type_NORMAL});
  }
  return pieces;
}

absl::StatusOr<uint32_t> SpecialId(const std::vector<UnigramPiece>& pieces, int32_t id,
                                   absl::string_view role) {
  if (id < 0 || id >= static_cast<int64_t>(pieces.size()) || !pieces[id].special) {
    return Invalid(absl::StrCat("expected a special piece for ", role, ", got id ", id));
  }
  return static_cast<uint32_t>(id);
}

uint32_t MaskId(const std::vector<UnigramPiece>& pieces, uint32_t otherwise) {
  for (uint32_t id = 0; id < pieces.size(); ++id) {
    if (pieces[id].special && (pieces[id].text == "[MASK]" || pieces[id].text == "<mask>")) return id;
  }
  return otherwise;
}

}  // namespace

absl::StatusOr<UnigramModel> ParseUnigramModel(absl::string_view bytes) {
  SentencePieceModel model;
  if (!model.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())) || model.pieces_size() == 0) {
    return Invalid("the bytes can't be parsed, or contain no pieces");
  }
  SHOAL_RETURN_IF_ERROR(CheckSpecs(model));
  UnigramModel result;
  SHOAL_ASSIGN_OR_RETURN(result.letter_case, LetterCaseOf(model.normalizer_spec()));
  SHOAL_ASSIGN_OR_RETURN(result.pieces, ReadPieces(model));
  const SentencePieceTrainerSpec& trainer = model.trainer_spec();
  SHOAL_ASSIGN_OR_RETURN(result.special.unk, SpecialId(result.pieces, trainer.unk_id(), "unk"));
  SHOAL_ASSIGN_OR_RETURN(result.special.cls, SpecialId(result.pieces, trainer.bos_id(), "bos"));
  SHOAL_ASSIGN_OR_RETURN(result.special.sep, SpecialId(result.pieces, trainer.eos_id(), "eos"));
  result.special.pad = result.special.sep;
  if (trainer.pad_id() >= 0) {
    SHOAL_ASSIGN_OR_RETURN(result.special.pad, SpecialId(result.pieces, trainer.pad_id(), "pad"));
  }
  result.special.mask = MaskId(result.pieces, result.special.unk);
  return result;
}

}  // namespace shoal::model
