#include "model/tokenizer/unigram_trainer.h"

#include <algorithm>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "model/tokenizer/seed_pieces.h"
#include "model/tokenizer/sentencepiece.pb.h"
#include "model/tokenizer/training_words.h"
#include "model/tokenizer/unigram_em.h"

namespace shoal::model {
namespace {

using Piece = SentencePieceModel::Piece;

struct SpecialPiece {
  const char* text;
  Piece::Type type;
};

// In the order of their ids.
constexpr SpecialPiece kSpecialPieces[] = {{"[PAD]", SentencePieceModel_Piece_Type_CONTROL},
                                           {"[UNK]", SentencePieceModel_Piece_Type_UNKNOWN},
                                           {"[CLS]", SentencePieceModel_Piece_Type_CONTROL},
                                           {"[SEP]", SentencePieceModel_Piece_Type_CONTROL},
                                           {"[MASK]", SentencePieceModel_Piece_Type_CONTROL}};
constexpr size_t kNumSpecialPieces = sizeof(kSpecialPieces) / sizeof(kSpecialPieces[0]);

// So that a text that spells a special piece can be spelled with ordinary pieces, in other libraries too.
constexpr absl::string_view kRequiredCharacters = "[]ACDEKLMNPSU";

// SentencePiece's constants: steps between two prunings, the fraction of pieces that a pruning keeps, and how
// many times the requested pieces the last one keeps.
constexpr int kStepsPerPruning = 2;
constexpr double kShrink = 0.75;
constexpr double kSpare = 1.1;

std::vector<ScoredPiece> FitPieces(const TrainingWords& words, size_t wanted,
                                   const UnigramTrainerOptions& options) {
  constexpr char kWhat[] = "makes the vocabulary";
  options.progress(kWhat);
  UnigramEm em(words.words, SeedPieces(words, options.seed_pieces));
  const auto enough = static_cast<size_t>(static_cast<double>(wanted) * kSpare);
  for (;;) {
    for (int step = 0; step < kStepsPerPruning; ++step) {
      em.Step();
      options.progress(kWhat);
    }
    const size_t now = em.pieces().size();
    if (now <= enough) return em.pieces();
    em.Prune(std::max(enough, static_cast<size_t>(static_cast<double>(now) * kShrink)));
    if (em.pieces().size() == now) return em.pieces();
  }
}

bool IsCharacter(const ScoredPiece& piece) { return SplitCharacters(piece.text).size() == 1; }

// All characters and the most probable other pieces, in order of decreasing probability.
std::vector<ScoredPiece> ChoosePieces(std::vector<ScoredPiece> pieces, size_t wanted) {
  std::sort(pieces.begin(), pieces.end(), [](const ScoredPiece& a, const ScoredPiece& b) {
    const bool a_first = IsCharacter(a), b_first = IsCharacter(b);
    if (a_first != b_first) return a_first;
    return a.score != b.score ? a.score > b.score : a.text < b.text;
  });
  pieces.resize(wanted);
  std::sort(pieces.begin(), pieces.end(), [](const ScoredPiece& a, const ScoredPiece& b) {
    return a.score != b.score ? a.score > b.score : a.text < b.text;
  });
  return pieces;
}

void SetSpecs(const UnigramTrainerOptions& options, SentencePieceModel* model) {
  SentencePieceTrainerSpec* trainer = model->mutable_trainer_spec();
  trainer->set_model_type(SentencePieceTrainerSpec::UNIGRAM);
  trainer->set_vocab_size(static_cast<int32_t>(options.vocab_size));
  trainer->set_character_coverage(static_cast<float>(options.character_coverage));
  trainer->set_pad_id(0);
  trainer->set_unk_id(1);
  trainer->set_bos_id(2);
  trainer->set_eos_id(3);
  trainer->set_pad_piece(kSpecialPieces[0].text);
  trainer->set_unk_piece(kSpecialPieces[1].text);
  trainer->set_bos_piece(kSpecialPieces[2].text);
  trainer->set_eos_piece(kSpecialPieces[3].text);
  SentencePieceNormalizerSpec* normalizer = model->mutable_normalizer_spec();
  normalizer->set_name(std::string(NormalizerName(options.letter_case)));
  normalizer->set_add_dummy_prefix(true);
  normalizer->set_remove_extra_whitespaces(true);
  normalizer->set_escape_whitespaces(true);
}

std::string SerializeModel(const std::vector<ScoredPiece>& pieces, const UnigramTrainerOptions& options) {
  SentencePieceModel model;
  for (const SpecialPiece& special : kSpecialPieces) {
    Piece* piece = model.add_pieces();
    piece->set_piece(special.text);
    piece->set_score(0);
    piece->set_type(special.type);
  }
  for (const ScoredPiece& scored : pieces) {
    Piece* piece = model.add_pieces();
    piece->set_piece(scored.text);
    piece->set_score(static_cast<float>(scored.score));
  }
  SetSpecs(options, &model);
  return model.SerializeAsString();
}

// A single long line can push most characters out.
std::string LeftOutText(const TrainingWords& words, const UnigramTrainerOptions& options) {
  if (words.left_out == 0) return "";
  return absl::StrCat(". ", words.left_out,
                      " of the text's characters have no piece, since all others make up ",
                      100 * options.character_coverage,
                      " % of it, and words are cut at them: does one text repeat a few words?");
}

}  // namespace

absl::StatusOr<std::string> TrainUnigram(absl::Span<const absl::string_view> lines,
                                         const UnigramTrainerOptions& options) {
  const TrainingWords words = CountWords(lines, options.letter_case, options.character_coverage,
                                         NormalizeText(kRequiredCharacters, options.letter_case));
  const size_t least = kNumSpecialPieces + words.characters.size();
  if (options.vocab_size < least) {
    return absl::InvalidArgumentError(
        absl::StrCat("tokenizer.vocab_size: expected at least ", least, " for the ", words.characters.size(),
                     " characters of the training text, got ", options.vocab_size));
  }
  const size_t wanted = options.vocab_size - kNumSpecialPieces;
  std::vector<ScoredPiece> pieces = FitPieces(words, wanted, options);
  if (pieces.size() < wanted) {
    return absl::InvalidArgumentError(absl::StrCat(
        "tokenizer.vocab_size: the training text is too small for ", options.vocab_size,
        " pieces; expected at most ", pieces.size() + kNumSpecialPieces, LeftOutText(words, options)));
  }
  return SerializeModel(ChoosePieces(std::move(pieces), wanted), options);
}

}  // namespace shoal::model
