// Models: how a piece becomes tokens.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "model/tokenizer/pipeline/json_object.h"
#include "model/tokenizer/pipeline/vocabulary.h"

namespace shoal::model::pipeline {

// A token and the bytes of the piece that it covers.
struct ModelToken {
  uint32_t id = 0;
  size_t begin = 0;
  size_t end = 0;
};

// Immutable; may be used by any thread.
class SubwordModel {
 public:
  explicit SubwordModel(Vocabulary vocabulary) : vocabulary_(std::move(vocabulary)) {}
  virtual ~SubwordModel() = default;

  const Vocabulary& vocabulary() const { return vocabulary_; }

  // Appends the tokens of `piece`, which is valid UTF-8. What the vocabulary lacks gets the unknown token, or
  // none when the model has no unknown token.
  virtual void Tokenize(absl::string_view piece, std::vector<ModelToken>* tokens) const = 0;

  // How a token of `piece` is spelled.
  virtual absl::string_view Spelling(const ModelToken& token, absl::string_view piece) const {
    static_cast<void>(piece);
    return *vocabulary_.Text(token.id);
  }

 private:
  Vocabulary vocabulary_;
};

// Reads the "model" of tokenizer.json: WordPiece, BPE or Unigram.
absl::StatusOr<std::unique_ptr<SubwordModel>> ParseSubwordModel(const JsonPlace& place);

// Reads an object of ids by token.
absl::StatusOr<Vocabulary> ParseVocabulary(const JsonPlace& place);

struct WordPieceOptions {
  std::string unk_token = "[UNK]";
  std::string continuing_prefix = "##";
  uint32_t max_word_characters = 100;  // longer words are unknown
};

// The longest token first (Schuster and Nakajima 2012). Errors: INVALID_ARGUMENT when the vocabulary lacks
// unk_token.
absl::StatusOr<std::unique_ptr<SubwordModel>> MakeWordPiece(Vocabulary vocabulary,
                                                            const WordPieceOptions& options);

struct BpeOptions {
  std::string unk_token;           // "" or one that the vocabulary lacks: none
  std::string continuing_prefix;   // before each character but the first of a piece
  std::string end_of_word_suffix;  // after the last character
  bool fuse_unk = false;           // whether unknown characters in a row are one token
  bool byte_fallback = false;      // whether an unknown character becomes <0xNN> tokens, one per byte
  bool ignore_merges = false;      // whether a piece that is a token is that token, without merges
};

// The two tokens of a merge, which are joined without the continuing prefix of the second.
using BpeMerge = std::pair<std::string, std::string>;

// Byte-pair encoding (Sennrich et al. 2016). `merges`: the most preferred first; of equal ones the last
// counts. Errors: INVALID_ARGUMENT when the vocabulary lacks a token of a merge or what it makes.
absl::StatusOr<std::unique_ptr<SubwordModel>> MakeBpe(Vocabulary vocabulary,
                                                      const std::vector<BpeMerge>& merges,
                                                      const BpeOptions& options);

// Reads the lines "A B" of a merges.txt; the first may be "#version ...".
absl::StatusOr<std::vector<BpeMerge>> ParseMergesText(absl::string_view text);

struct UnigramPieces {
  struct Piece {
    std::string text;
    double score = 0;        // log probability
    bool is_segment = true;  // whether a text may be segmented into it
  };
  std::vector<Piece> pieces;  // by id
  std::optional<uint32_t> unk_id;
  double unk_score = 0;        // of a character that no piece starts with
  bool byte_fallback = false;  // whether unknown text becomes <0xNN> tokens, one per byte
  bool float_sums = false;     // whether scores of paths are rounded to float, as SentencePiece does
};

// The most probable segmentation (Kudo 2018). Characters without a piece are one unknown token together.
// Errors: INVALID_ARGUMENT when a score is not finite or unk_id is not that of a piece.
absl::StatusOr<std::unique_ptr<SubwordModel>> MakeUnigram(const UnigramPieces& pieces);

}  // namespace shoal::model::pipeline
