// Segments text with a unigram language model: the most probable sequence of pieces (Kudo 2018).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "model/tokenizer/piece_trie.h"
#include "model/tokenizer/text_normalizer.h"
#include "model/tokenizer/tokenizer.h"

namespace shoal::model {

// The pieces of a model; the index is the id.
struct UnigramPiece {
  std::string text;
  float score = 0;       // log probability; unused for special pieces
  bool special = false;  // never part of an encoded text, except unk
};

struct UnigramModel;  // sentencepiece_model.h

// Each word (a U+2581 and everything up to the next) is segmented by itself, with scores added in double: the
// ids are those of the `tokenizers` library. SentencePiece adds in float over the whole text, so it may break
// a near tie differently.
class UnigramTokenizer : public Tokenizer {
 public:
  // Like LoadTokenizer.
  static absl::StatusOr<std::unique_ptr<UnigramTokenizer>> FromBytes(absl::string_view bytes);

  std::vector<uint32_t> Encode(absl::string_view text, size_t max_tokens) const override;
  std::string Decode(absl::Span<const uint32_t> ids) const override;
  uint32_t vocab_size() const override { return static_cast<uint32_t>(pieces_.size()); }
  const SpecialTokens& special() const override { return special_; }
  const std::string& bytes() const override { return bytes_; }
  std::vector<NamedFile> ExportFiles(uint32_t max_length) const override;

  const std::vector<UnigramPiece>& pieces() const { return pieces_; }
  LetterCase letter_case() const { return letter_case_; }

 private:
  struct Lattice;

  UnigramTokenizer(std::string bytes, UnigramModel model);

  // Appends the ids of `word`, which begins with U+2581.
  void EncodeWord(absl::string_view word, Lattice* lattice, std::vector<uint32_t>* ids) const;

  std::string bytes_;
  std::vector<UnigramPiece> pieces_;
  LetterCase letter_case_;
  SpecialTokens special_;
  PieceTrie trie_;        // of the pieces that are not special
  double unk_score_ = 0;  // of a character without a piece
};

}  // namespace shoal::model
