#include "model/tokenizer/unigram_tokenizer.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "common/base/status.h"
#include "model/tokenizer/characters.h"
#include "model/tokenizer/huggingface_tokenizer.h"
#include "model/tokenizer/sentencepiece_constants.h"
#include "model/tokenizer/sentencepiece_model.h"

namespace shoal::model {
namespace {

constexpr double kLeast = -std::numeric_limits<double>::infinity();

PieceTrie MakeTrie(const std::vector<UnigramPiece>& pieces) {
  std::vector<PieceTrie::Entry> entries;
  for (uint32_t id = 0; id < pieces.size(); ++id) {
    if (!pieces[id].special) entries.push_back({pieces[id].text, id});
  }
  return PieceTrie(std::move(entries));
}

double LeastScore(const std::vector<UnigramPiece>& pieces) {
  float least = 0;
  for (const UnigramPiece& piece : pieces) {
    if (!piece.special) least = std::min(least, piece.score);
  }
  return least;
}

}  // namespace

// For each byte of a word: the best way to get there.
struct UnigramTokenizer::Lattice {
  struct Arrival {
    double score = kLeast;
    size_t begin = 0;  // of the last piece
    uint32_t id = 0;   // the last piece
  };
  std::vector<Arrival> at;

  void Offer(size_t end, const Arrival& arrival) {
    if (arrival.score > at[end].score) at[end] = arrival;
  }
};

UnigramTokenizer::UnigramTokenizer(std::string bytes, UnigramModel model)
    : bytes_(std::move(bytes)),
      pieces_(std::move(model.pieces)),
      letter_case_(model.letter_case),
      special_(model.special),
      trie_(MakeTrie(pieces_)),
      unk_score_(LeastScore(pieces_) - kUnknownPenalty) {}

absl::StatusOr<std::unique_ptr<UnigramTokenizer>> UnigramTokenizer::FromBytes(absl::string_view bytes) {
  SHOAL_ASSIGN_OR_RETURN(UnigramModel model, ParseUnigramModel(bytes));
  return std::unique_ptr<UnigramTokenizer>(new UnigramTokenizer(std::string(bytes), std::move(model)));
}

std::vector<uint32_t> UnigramTokenizer::Encode(absl::string_view text, size_t max_tokens) const {
  SHOAL_CHECK(max_tokens >= 2);
  std::vector<uint32_t> ids = {special_.cls};
  const std::string normal = NormalizeText(text, letter_case_);
  Lattice lattice;
  for (absl::string_view word : absl::StrSplit(normal, ' ', absl::SkipEmpty())) {
    if (ids.size() >= max_tokens) break;
    EncodeWord(absl::StrCat(kSpacePiece, word), &lattice, &ids);
  }
  if (ids.size() > max_tokens - 1) ids.resize(max_tokens - 1);
  ids.push_back(special_.sep);
  return ids;
}

void UnigramTokenizer::EncodeWord(absl::string_view word, Lattice* lattice,
                                  std::vector<uint32_t>* ids) const {
  lattice->at.assign(word.size() + 1, {});
  lattice->at[0].score = 0;
  for (size_t begin = 0; begin < word.size();) {
    const double score = lattice->at[begin].score;
    const size_t character = CharacterAt(word, begin).bytes;
    bool character_has_piece = false;
    trie_.ForEachPrefix(word.substr(begin), [&](size_t length, uint32_t id) {
      lattice->Offer(begin + length, {score + pieces_[id].score, begin, id});
      character_has_piece |= length == character;
    });
    if (!character_has_piece) lattice->Offer(begin + character, {score + unk_score_, begin, special_.unk});
    begin += character;
  }
  const size_t first = ids->size();
  for (size_t end = word.size(); end > 0; end = lattice->at[end].begin) {
    const uint32_t id = lattice->at[end].id;
    // Adjacent unknown characters are one token.
    if (id == special_.unk && ids->size() > first && ids->back() == special_.unk) continue;
    ids->push_back(id);
  }
  std::reverse(ids->begin() + static_cast<ptrdiff_t>(first), ids->end());
}

std::string UnigramTokenizer::Decode(absl::Span<const uint32_t> ids) const {
  std::string text;
  for (uint32_t id : ids) {
    if (id == special_.unk) {
      absl::StrAppend(&text, kUnknownText);
    } else if (id < pieces_.size() && !pieces_[id].special) {
      absl::StrAppend(&text, pieces_[id].text);
    }
  }
  absl::StrReplaceAll({{kSpacePiece, " "}}, &text);
  if (!text.empty() && text[0] == ' ') text.erase(0, 1);
  return text;
}

std::vector<NamedFile> UnigramTokenizer::ExportFiles(uint32_t max_length) const {
  return HuggingFaceTokenizerFiles(*this, max_length);
}

}  // namespace shoal::model
