// A vocabulary that Shoal has made: normalizes texts, and segments them with a unigram language model.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "model/tokenizer/pipeline/subword_model.h"
#include "model/tokenizer/text_normalizer.h"
#include "model/tokenizer/tokenizer.h"

namespace shoal::model {

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

  // By id. Those that are not segments are special: never part of an encoded text, except unk.
  const std::vector<pipeline::UnigramPieces::Piece>& pieces() const { return pieces_; }
  LetterCase letter_case() const { return letter_case_; }

 protected:
  // A token has the place of its part of the word, if that is as long in its normal form; a U+2581 by itself
  // has that of the word's first character.
  void AppendWord(absl::string_view word, TextSpan place, Encoding* encoding) const override;

 private:
  UnigramTokenizer() = default;

  std::string bytes_;
  std::vector<pipeline::UnigramPieces::Piece> pieces_;
  LetterCase letter_case_ = LetterCase::kKept;
  SpecialTokens special_;
  std::unique_ptr<pipeline::SubwordModel> model_;
};

}  // namespace shoal::model
