#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/utf8.h"
#include "model/tokenizer/characters.h"
#include "model/tokenizer/piece_trie.h"
#include "model/tokenizer/pipeline/subword_model.h"

namespace shoal::model::pipeline {
namespace {

// The tokens that begin with `prefix`, without it.
PieceTrie TrieOf(const Vocabulary& vocabulary, absl::string_view prefix) {
  std::vector<PieceTrie::Entry> entries;
  for (const auto& [text, id] : vocabulary.entries()) {
    if (text.size() <= prefix.size() || !absl::StartsWith(text, prefix) || vocabulary.Find(text) != id)
      continue;
    entries.push_back({absl::string_view(text).substr(prefix.size()), id});
  }
  return PieceTrie(std::move(entries));
}

class WordPieceModel : public SubwordModel {
 public:
  WordPieceModel(Vocabulary vocabulary, const WordPieceOptions& options, uint32_t unk_id)
      : SubwordModel(std::move(vocabulary)),
        unk_id_(unk_id),
        max_word_characters_(options.max_word_characters),
        first_(TrieOf(this->vocabulary(), "")),
        continuing_(TrieOf(this->vocabulary(), options.continuing_prefix)) {}

  void Tokenize(absl::string_view piece, std::vector<ModelToken>* tokens) const override {
    const size_t size_before = tokens->size();
    const bool too_long =
        piece.size() > max_word_characters_ && CountCharacters(piece) > max_word_characters_;
    if (!too_long && Segment(piece, tokens)) return;
    tokens->resize(size_before);
    tokens->push_back({unk_id_, 0, piece.size()});
  }

 private:
  // Appends the tokens of `word`; false when some part of it has none.
  bool Segment(absl::string_view word, std::vector<ModelToken>* tokens) const {
    for (size_t at = 0; at < word.size(); at = tokens->back().end) {
      ModelToken longest{0, at, at};
      (at == 0 ? first_ : continuing_).ForEachPrefix(word.substr(at), [&](size_t bytes, uint32_t id) {
        longest = {id, at, at + bytes};
      });
      if (longest.end == at) return false;
      tokens->push_back(longest);
    }
    return true;
  }

  uint32_t unk_id_;
  uint32_t max_word_characters_;
  PieceTrie first_;
  PieceTrie continuing_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<SubwordModel>> MakeWordPiece(Vocabulary vocabulary,
                                                            const WordPieceOptions& options) {
  const auto unk_id = vocabulary.Find(options.unk_token);
  if (!unk_id.has_value()) {
    return absl::InvalidArgumentError(
        absl::StrCat("unk_token is '", ToQuoted(options.unk_token), "', which is not in the vocabulary"));
  }
  return std::make_unique<WordPieceModel>(std::move(vocabulary), options, *unk_id);
}

}  // namespace shoal::model::pipeline
