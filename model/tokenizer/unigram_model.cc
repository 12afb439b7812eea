#include "model/tokenizer/unigram_model.h"

#include <cstdint>
#include <string>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "model/tokenizer/pipeline/sentencepiece_reader.h"
#include "model/tokenizer/sentencepiece.pb.h"

namespace shoal::model {
namespace {

using Piece = SentencePieceModel::Piece;
using Pieces = std::vector<pipeline::UnigramPieces::Piece>;

absl::Status Invalid(absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("SentencePiece model: ", what));
}

absl::Status CheckSpecs(const SentencePieceModel& model) {
  const SentencePieceNormalizerSpec& normalizer = model.normalizer_spec();
  if (model.trainer_spec().byte_fallback()) return Invalid("byte_fallback is not supported");
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

absl::Status CheckPieces(const SentencePieceModel& model) {
  absl::flat_hash_set<absl::string_view> seen;
  for (int id = 0; id < model.pieces_size(); ++id) {
    const Piece& piece = model.pieces(id);
    if (piece.type() == SentencePieceModel_Piece_Type_USER_DEFINED ||
        piece.type() == SentencePieceModel_Piece_Type_BYTE) {
      return Invalid(absl::StrCat("piece ", id, " '", piece.piece(),
                                  "' is user-defined or a byte, which is not supported"));
    }
    if (!seen.insert(piece.piece()).second)
      return Invalid(absl::StrCat("piece '", piece.piece(), "' appears twice"));
  }
  return absl::OkStatus();
}

absl::StatusOr<uint32_t> SpecialId(const Pieces& pieces, int32_t id, absl::string_view role) {
  if (id < 0 || id >= static_cast<int64_t>(pieces.size()) || pieces[id].is_segment) {
    return Invalid(absl::StrCat("expected a special piece for ", role, ", got id ", id));
  }
  return static_cast<uint32_t>(id);
}

uint32_t MaskId(const Pieces& pieces, uint32_t otherwise) {
  for (uint32_t id = 0; id < pieces.size(); ++id) {
    if (!pieces[id].is_segment && (pieces[id].text == "[MASK]" || pieces[id].text == "<mask>")) return id;
  }
  return otherwise;
}

}  // namespace

absl::StatusOr<UnigramModel> ParseUnigramModel(absl::string_view bytes) {
  auto parsed = pipeline::ParseSentencePieceModel(bytes);
  if (!parsed.ok()) return Invalid(parsed.status().message());
  const SentencePieceModel& model = *parsed;
  SHOAL_RETURN_IF_ERROR(CheckSpecs(model));
  UnigramModel result;
  SHOAL_ASSIGN_OR_RETURN(result.letter_case, LetterCaseOf(model.normalizer_spec()));
  SHOAL_RETURN_IF_ERROR(CheckPieces(model));
  result.unigram = pipeline::PiecesOf(model);
  const Pieces& pieces = result.unigram.pieces;
  const SentencePieceTrainerSpec& trainer = model.trainer_spec();
  SHOAL_ASSIGN_OR_RETURN(result.special.unk, SpecialId(pieces, trainer.unk_id(), "unk"));
  SHOAL_ASSIGN_OR_RETURN(result.special.cls, SpecialId(pieces, trainer.bos_id(), "bos"));
  SHOAL_ASSIGN_OR_RETURN(result.special.sep, SpecialId(pieces, trainer.eos_id(), "eos"));
  result.special.pad = result.special.sep;
  if (trainer.pad_id() >= 0) {
    SHOAL_ASSIGN_OR_RETURN(result.special.pad, SpecialId(pieces, trainer.pad_id(), "pad"));
  }
  result.special.mask = MaskId(pieces, result.special.unk);
  result.unigram.unk_id = result.special.unk;
  return result;
}

}  // namespace shoal::model
