#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/container/inlined_vector.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/utf8.h"
#include "model/tokenizer/characters.h"
#include "model/tokenizer/piece_trie.h"
#include "model/tokenizer/pipeline/subword_model.h"

namespace shoal::model::pipeline {
namespace {

constexpr uint32_t kNone = 0xFFFFFFFF;

PieceTrie TrieOf(const Vocabulary& vocabulary, const UnigramPieces& pieces) {
  std::vector<PieceTrie::Entry> entries;
  for (const auto& [text, id] : vocabulary.entries()) {
    if (text.empty() || !pieces.pieces[id].is_segment || vocabulary.Find(text) != id) continue;
    entries.push_back({text, id});
  }
  return PieceTrie(std::move(entries));
}

class UnigramModel : public SubwordModel {
 public:
  UnigramModel(Vocabulary vocabulary, const UnigramPieces& pieces)
      : SubwordModel(std::move(vocabulary)),
        trie_(TrieOf(this->vocabulary(), pieces)),
        unk_id_(pieces.unk_id.value_or(kNone)),
        unk_score_(pieces.unk_score),
        byte_fallback_(pieces.byte_fallback),
        float_sums_(pieces.float_sums) {
    for (const auto& piece : pieces.pieces) {
      scores_.push_back(piece.score);
      is_segment_.push_back(piece.is_segment);
    }
    for (uint32_t byte = 0; byte < 256; ++byte) {
      byte_ids_.push_back(this->vocabulary().Find(absl::StrFormat("<0x%02X>", byte)).value_or(kNone));
    }
  }

  void Tokenize(absl::string_view piece, std::vector<ModelToken>* tokens) const override {
    const Path path = BestPath(piece);
    // From the end to the beginning.
    const size_t first = tokens->size();
    bool fuses = false;  // whether the token last added is unknown, so that it takes in another before it
    for (size_t end = piece.size(); end > 0; end = path[end].begin) {
      const Step& step = path[end];
      const bool unknown = step.id == unk_id_;
      if (unknown && fuses) {
        tokens->back().begin = step.begin;
      } else {
        tokens->push_back({step.id, step.begin, end});
      }
      fuses = unknown && unk_id_ != kNone;
    }
    std::reverse(tokens->begin() + first, tokens->end());
    ReplaceUnknown(piece, first, tokens);
  }

  absl::string_view Spelling(const ModelToken& token, absl::string_view piece) const override {
    return token.id == unk_id_ ? piece.substr(token.begin, token.end - token.begin)
                               : *vocabulary().Text(token.id);
  }

 private:
  // The best way to reach a byte of the piece: its score, and the last piece on it.
  struct Step {
    double score = 0;
    size_t begin = SIZE_MAX;
    uint32_t id = kNone;
  };
  using Path = absl::InlinedVector<Step, 32>;

  double Rounded(double score) const { return float_sums_ ? static_cast<float>(score) : score; }

  void Offer(double score, size_t begin, uint32_t id, Step* step) const {
    if (step->begin != SIZE_MAX && !(score > step->score)) return;
    *step = {Rounded(score), begin, id};
  }

  Path BestPath(absl::string_view piece) const {
    Path path(piece.size() + 1);
    for (size_t at = 0; at < piece.size();) {
      const size_t character = CharacterAt(piece, at).bytes;
      const double score = path[at].score;
      bool known = false;
      trie_.ForEachPrefix(piece.substr(at), [&](size_t bytes, uint32_t id) {
        Offer(score + scores_[id], at, id, &path[at + bytes]);
        known |= bytes == character;
      });
      if (!known) Offer(Rounded(score + unk_score_), at, unk_id_, &path[at + character]);
      at += character;
    }
    return path;
  }

  // Turns unknown tokens into those of their text, if it is a token after all, or of its bytes; removes them
  // when there is no unknown token.
  void ReplaceUnknown(absl::string_view piece, size_t first, std::vector<ModelToken>* tokens) const {
    const auto is_unknown = [&](const ModelToken& token) { return token.id == unk_id_; };
    if (std::none_of(tokens->begin() + first, tokens->end(), is_unknown)) return;
    const std::vector<ModelToken> before(tokens->begin() + first, tokens->end());
    tokens->resize(first);
    for (const ModelToken& token : before) {
      if (is_unknown(token)) {
        AddUnknown(token, piece.substr(token.begin, token.end - token.begin), tokens);
      } else {
        tokens->push_back(token);
      }
    }
  }

  void AddUnknown(const ModelToken& token, absl::string_view text, std::vector<ModelToken>* tokens) const {
    const auto id = vocabulary().Find(text);
    if (id.has_value() && is_segment_[*id]) return tokens->push_back({*id, token.begin, token.end});
    const auto byte_id = [&](char c) { return byte_ids_[static_cast<uint8_t>(c)]; };
    const auto has_token = [&](char c) { return byte_id(c) != kNone; };
    if (byte_fallback_ && std::all_of(text.begin(), text.end(), has_token)) {
      for (const char c : text) tokens->push_back({byte_id(c), token.begin, token.end});
    } else if (unk_id_ != kNone) {
      tokens->push_back(token);
    }
  }

  PieceTrie trie_;
  std::vector<double> scores_;    // by id
  std::vector<bool> is_segment_;  // by id
  std::vector<uint32_t> byte_ids_;
  uint32_t unk_id_;
  double unk_score_;
  bool byte_fallback_;
  bool float_sums_;
};

absl::Status CheckPieces(const UnigramPieces& pieces) {
  for (size_t id = 0; id < pieces.pieces.size(); ++id) {
    const auto& [text, score, is_segment] = pieces.pieces[id];
    if (std::isfinite(score)) continue;
    return absl::InvalidArgumentError(absl::StrCat("the score of '", ToQuoted(text), "' (id ", id, ") is ",
                                                   score, ", expected a finite number"));
  }
  if (pieces.unk_id.has_value() && *pieces.unk_id >= pieces.pieces.size()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "unk_id is ", *pieces.unk_id, ", expected less than the number of pieces, ", pieces.pieces.size()));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<SubwordModel>> MakeUnigram(const UnigramPieces& pieces) {
  SHOAL_RETURN_IF_ERROR(CheckPieces(pieces));
  std::vector<Vocabulary::Entry> entries;
  for (const auto& piece : pieces.pieces)
    entries.push_back({piece.text, static_cast<uint32_t>(entries.size())});
  SHOAL_ASSIGN_OR_RETURN(Vocabulary vocabulary, Vocabulary::Make(std::move(entries)));
  return std::make_unique<UnigramModel>(std::move(vocabulary), pieces);
}

}  // namespace shoal::model::pipeline
