#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/status.h"
#include "common/base/utf8.h"
#include "model/tokenizer/characters.h"
#include "model/tokenizer/pipeline/merge_table.h"
#include "model/tokenizer/pipeline/subword_model.h"
#include "model/tokenizer/sentencepiece_constants.h"

namespace shoal::model::pipeline {
namespace {

constexpr uint32_t kNone = 0xFFFFFFFF;
// Characters whose ids are in a table: the alphabets of most languages, and the space piece.
constexpr uint32_t kTableSize = 0x2800;

// Characters that begin words in vocabularies without a pre-tokenizer.
constexpr absl::string_view kSpaces[] = {" ", kSpacePiece};

class BpeModel : public SubwordModel {
 public:
  BpeModel(Vocabulary vocabulary, BpeOptions options)
      : SubwordModel(std::move(vocabulary)), options_(std::move(options)) {
    unk_id_ = this->vocabulary().Find(options_.unk_token).value_or(kNone);
    if (options_.unk_token.empty()) unk_id_ = kNone;
    for (uint32_t code = 0; code < kTableSize; ++code) {
      ids_[code] = this->vocabulary().Find(Utf8Of(code)).value_or(kNone);
    }
    for (uint32_t byte = 0; byte < 256; ++byte) {
      byte_ids_[byte] = this->vocabulary().Find(absl::StrFormat("<0x%02X>", byte)).value_or(kNone);
    }
  }

  absl::Status AddMerges(const std::vector<BpeMerge>& merges);

  void Tokenize(absl::string_view piece, std::vector<ModelToken>* tokens) const override;

 private:
  // Unknown characters that are not yet a symbol.
  struct Unknown {
    bool any = false;
    size_t bytes = 0;
  };

  bool IsAffixed() const {
    return !options_.continuing_prefix.empty() || !options_.end_of_word_suffix.empty();
  }
  bool HasSymbolForAll() const {
    return unk_id_ != kNone ||
           (options_.byte_fallback && std::count(byte_ids_.begin(), byte_ids_.end(), kNone) == 0);
  }
  absl::StatusOr<uint32_t> TokenOfMerge(const std::string& token, size_t rank) const;
  void FindWholeTokens();
  void FindCuts(const std::vector<BpeMerge>& merges);
  bool IsCut(absl::string_view piece, size_t at) const;
  size_t NextCut(absl::string_view piece, size_t begin) const;

  void TokenizeWord(absl::string_view word, size_t* at, std::vector<ModelToken>* tokens) const;
  Symbols SymbolsOf(absl::string_view word) const;
  uint32_t IdOf(absl::string_view word, size_t at, const Character& c) const;
  std::string Affixed(absl::string_view word, size_t at, size_t end) const;
  bool AddByteSymbols(absl::string_view bytes, Symbols* symbols) const;
  void AddUnknown(size_t bytes, Unknown* unknown, Symbols* symbols) const;
  void Flush(Unknown* unknown, Symbols* symbols) const;

  BpeOptions options_;
  uint32_t unk_id_ = kNone;
  std::array<uint32_t, kTableSize> ids_;
  std::array<uint32_t, 256> byte_ids_;
  MergeTable merges_;
  std::vector<bool> is_whole_;  // by id: whether the token's text is merged into just the token
  std::vector<absl::string_view>
      cuts_;  // spaces before which a piece can be cut, since no merge reaches across
};

absl::StatusOr<uint32_t> BpeModel::TokenOfMerge(const std::string& token, size_t rank) const {
  if (const auto id = vocabulary().Find(token)) return *id;
  return absl::InvalidArgumentError(absl::StrCat("merge ", rank, " needs the token '", ToQuoted(token),
                                                 "', which is not in the vocabulary"));
}

absl::Status BpeModel::AddMerges(const std::vector<BpeMerge>& merges) {
  const std::string& prefix = options_.continuing_prefix;
  for (size_t rank = 0; rank < merges.size(); ++rank) {
    const auto& [first, second] = merges[rank];
    if (second.size() < prefix.size()) {
      return absl::InvalidArgumentError(
          absl::StrCat("merge ", rank, ": '", ToQuoted(second), "' is shorter than the continuing prefix"));
    }
    SHOAL_ASSIGN_OR_RETURN(const uint32_t first_id, TokenOfMerge(first, rank));
    SHOAL_ASSIGN_OR_RETURN(const uint32_t second_id, TokenOfMerge(second, rank));
    SHOAL_ASSIGN_OR_RETURN(const uint32_t result,
                           TokenOfMerge(absl::StrCat(first, second.substr(prefix.size())), rank));
    merges_.Add(first_id, second_id, static_cast<uint32_t>(rank), result);
  }
  FindCuts(merges);
  FindWholeTokens();
  return absl::OkStatus();
}

void BpeModel::FindWholeTokens() {
  is_whole_.assign(vocabulary().end_id(), false);
  for (const auto& [text, id] : vocabulary().entries()) {
    Symbols symbols = SymbolsOf(text);
    merges_.Apply(&symbols);
    is_whole_[id] = symbols.size() == 1 && symbols[0].id == id && symbols[0].bytes == text.size();
  }
}

void BpeModel::FindCuts(const std::vector<BpeMerge>& merges) {
  // Symbols on both sides of a character without one are adjacent.
  if (IsAffixed() || !HasSymbolForAll()) return;
  for (const absl::string_view space : kSpaces) {
    if (vocabulary().Find(space).has_value()) cuts_.push_back(space);
  }
  // Without the spaces that some merge joins to a character before them.
  for (const auto& [first, second] : merges) {
    const std::string token = first + second;
    const auto is_joined = [&](absl::string_view space) {
      for (size_t at = token.find(space.data(), 1); at != std::string::npos;
           at = token.find(space.data(), at + 1)) {
        if (at < space.size() || absl::string_view(token).substr(at - space.size(), space.size()) != space)
          return true;
      }
      return false;
    };
    cuts_.erase(std::remove_if(cuts_.begin(), cuts_.end(), is_joined), cuts_.end());
  }
}

// Whether a space begins at `at` > 0, after another character.
bool BpeModel::IsCut(absl::string_view piece, size_t at) const {
  for (const absl::string_view space : cuts_) {
    if (piece.substr(at, space.size()) != space) continue;
    if (at < space.size() || piece.substr(at - space.size(), space.size()) != space) return true;
  }
  return false;
}

size_t BpeModel::NextCut(absl::string_view piece, size_t begin) const {
  if (cuts_.empty()) return piece.size();
  size_t at = begin + 1;
  while (at < piece.size() && !IsCut(piece, at)) ++at;
  return std::min(at, piece.size());
}

std::string BpeModel::Affixed(absl::string_view word, size_t at, size_t end) const {
  return absl::StrCat(at == 0 ? "" : options_.continuing_prefix, word.substr(at, end - at),
                      end == word.size() ? options_.end_of_word_suffix : "");
}

uint32_t BpeModel::IdOf(absl::string_view word, size_t at, const Character& c) const {
  if (IsAffixed()) return vocabulary().Find(Affixed(word, at, at + c.bytes)).value_or(kNone);
  if (c.code < kTableSize) return ids_[c.code];
  return vocabulary().Find(word.substr(at, c.bytes)).value_or(kNone);
}

bool BpeModel::AddByteSymbols(absl::string_view bytes, Symbols* symbols) const {
  const auto id = [&](char c) { return byte_ids_[static_cast<uint8_t>(c)]; };
  if (std::any_of(bytes.begin(), bytes.end(), [&](char c) { return id(c) == kNone; })) return false;
  for (const char c : bytes) symbols->push_back({id(c), 1});
  return true;
}

void BpeModel::Flush(Unknown* unknown, Symbols* symbols) const {
  if (unknown->any) symbols->push_back({unk_id_, unknown->bytes});
  *unknown = {};
}

void BpeModel::AddUnknown(size_t bytes, Unknown* unknown, Symbols* symbols) const {
  if (unk_id_ == kNone) return;
  if (!options_.fuse_unk) Flush(unknown, symbols);
  *unknown = {true, unknown->bytes + bytes};
}

Symbols BpeModel::SymbolsOf(absl::string_view word) const {
  Symbols symbols;
  Unknown unknown;
  for (size_t at = 0; at < word.size();) {
    const Character c = CharacterAt(word, at);
    const uint32_t id = IdOf(word, at, c);
    if (id != kNone) {
      Flush(&unknown, &symbols);
      symbols.push_back({id, c.bytes});
    } else if (!options_.byte_fallback || !AddByteSymbols(Affixed(word, at, at + c.bytes), &symbols)) {
      AddUnknown(c.bytes, &unknown, &symbols);
    }
    at += c.bytes;
  }
  Flush(&unknown, &symbols);
  return symbols;
}

// Appends the tokens of `word`, which begins at byte *at of the piece, and moves *at past what they cover.
// Characters that have no symbol count nowhere: that moves what follows, as in `tokenizers`.
void BpeModel::TokenizeWord(absl::string_view word, size_t* at, std::vector<ModelToken>* tokens) const {
  const auto add = [&](const Symbol& symbol) {
    tokens->push_back({symbol.id, *at, *at + symbol.bytes});
    *at += symbol.bytes;
  };
  const auto id = vocabulary().Find(word);
  if (id.has_value() && is_whole_[*id]) return add({*id, word.size()});
  Symbols symbols = SymbolsOf(word);
  merges_.Apply(&symbols);
  std::for_each(symbols.begin(), symbols.end(), add);
}

void BpeModel::Tokenize(absl::string_view piece, std::vector<ModelToken>* tokens) const {
  if (options_.ignore_merges) {
    if (const auto id = vocabulary().Find(piece)) return tokens->push_back({*id, 0, piece.size()});
  }
  size_t at = 0;
  for (size_t begin = 0; begin < piece.size();) {
    const size_t end = NextCut(piece, begin);
    TokenizeWord(piece.substr(begin, end - begin), &at, tokens);
    begin = end;
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<SubwordModel>> MakeBpe(Vocabulary vocabulary,
                                                      const std::vector<BpeMerge>& merges,
                                                      const BpeOptions& options) {
  auto model = std::make_unique<BpeModel>(std::move(vocabulary), options);
  SHOAL_RETURN_IF_ERROR(model->AddMerges(merges));
  return model;
}

}  // namespace shoal::model::pipeline
