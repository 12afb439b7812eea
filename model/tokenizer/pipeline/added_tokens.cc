#include "model/tokenizer/pipeline/added_tokens.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/base/utf8.h"
#include "model/tokenizer/pipeline/character_classes.h"

namespace shoal::model::pipeline {
namespace {

bool HasWordBefore(absl::string_view text, size_t at) {
  return at > 0 && IsWordCharacter(CharacterBefore(text, at).code);
}

bool HasWordAt(absl::string_view text, size_t at) {
  return at < text.size() && IsWordCharacter(CharacterAt(text, at).code);
}

size_t SpaceBegin(absl::string_view text, size_t end, size_t limit) {
  while (end > limit && IsWhiteSpace(CharacterBefore(text, end).code))
    end -= CharacterBefore(text, end).bytes;
  return end;
}

size_t SpaceEnd(absl::string_view text, size_t begin) {
  while (begin < text.size() && IsWhiteSpace(CharacterAt(text, begin).code)) {
    begin += CharacterAt(text, begin).bytes;
  }
  return begin;
}

// The part of the text that the token at `match` takes in; segments before it end at `segments_end`.
ByteRange Extent(const AddedToken& token, absl::string_view text, ByteRange match, size_t segments_end) {
  if (token.lstrip) match.begin = std::max(SpaceBegin(text, match.begin, segments_end), segments_end);
  if (token.rstrip) match.end = SpaceEnd(text, match.end);
  return match;
}

}  // namespace

absl::StatusOr<AddedToken> ParseAddedToken(const JsonPlace& place) {
  JsonObject fields(place);
  AddedToken token;
  token.id = fields.RequiredInteger("id");
  token.content = fields.RequiredString("content");
  token.single_word = fields.Bool("single_word", false);
  token.lstrip = fields.Bool("lstrip", false);
  token.rstrip = fields.Bool("rstrip", false);
  token.special = fields.Bool("special", false);
  token.normalized = fields.Bool("normalized", !token.special);
  if (token.id >= kMaxTokenId) fields.Reject("id", absl::StrCat("expected less than ", kMaxTokenId));
  SHOAL_RETURN_IF_ERROR(fields.Finish());
  return token;
}

uint32_t AddedTokens::NextId(const AddedToken& token, const Vocabulary& vocabulary) const {
  if (const auto id = vocabulary.Find(token.content)) return *id;
  const auto size = static_cast<uint32_t>(vocabulary.size());
  return std::max(size, end_id_);
}

absl::Status AddedTokens::Add(const AddedToken& token, const Vocabulary& vocabulary) {
  const uint32_t expected = NextId(token, vocabulary);
  if (token.id != expected) {
    return absl::InvalidArgumentError(absl::StrCat("added token '", ToQuoted(token.content), "' has the id ",
                                                   token.id, ", but `tokenizers` would give it ", expected));
  }
  const auto slot = slots_.emplace(token.id, tokens_.size());
  if (!slot.second) {
    return absl::InvalidArgumentError(absl::StrCat("added tokens '", ToQuoted(token.content), "' and '",
                                                   ToQuoted(tokens_[slot.first->second].content),
                                                   "' have the same id ", token.id));
  }
  ids_.emplace(token.content, token.id);
  end_id_ = std::max(end_id_, token.id + 1);
  if (token.special) special_.insert(token.content);
  tokens_.push_back(token);
  return absl::OkStatus();
}

PieceTrie AddedTokens::TrieOf(bool normalized) const {
  absl::flat_hash_map<absl::string_view, uint32_t> indices;  // of tokens that are spelled alike, the last
  for (uint32_t i = 0; i < tokens_.size(); ++i) {
    if (tokens_[i].normalized == normalized && !spellings_[i].empty()) indices[spellings_[i]] = i;
  }
  std::vector<PieceTrie::Entry> entries;
  for (const auto& [spelling, i] : indices) entries.push_back({spelling, i});
  return PieceTrie(std::move(entries));
}

absl::StatusOr<AddedTokens> AddedTokens::Make(const std::vector<AddedToken>& tokens,
                                              const Vocabulary& vocabulary, const Normalizer* normalizer) {
  AddedTokens result;
  for (const AddedToken& token : tokens) {
    if (token.content.empty() || result.ids_.contains(token.content)) continue;
    SHOAL_RETURN_IF_ERROR(result.Add(token, vocabulary));
    AlignedText spelling(token.content, 0);
    if (token.normalized && normalizer != nullptr) normalizer->Apply(&spelling);
    result.spellings_.push_back(spelling.text());
  }
  result.raw_ = result.TrieOf(false);
  result.normalized_ = result.TrieOf(true);
  return result;
}

std::vector<AddedTokens::Segment> AddedTokens::Find(absl::string_view text, bool normalized) const {
  const PieceTrie& trie = normalized ? normalized_ : raw_;
  std::vector<Segment> segments;
  size_t done = 0;
  for (size_t at = 0; at < text.size();) {
    ByteRange match{at, at};
    size_t slot = 0;
    trie.ForEachPrefix(text.substr(at), [&](size_t bytes, uint32_t index) {
      match.end = at + bytes;
      slot = index;
    });
    at = std::max(match.end, at + 1);
    if (match.size() == 0) continue;
    const AddedToken& token = tokens_[slot];
    if (token.single_word && (HasWordBefore(text, match.begin) || HasWordAt(text, match.end))) continue;
    match = Extent(token, text, match, done);
    if (match.end <= match.begin) continue;  // all in the white space that the token before took in
    if (match.begin > done) segments.push_back({{done, match.begin}, std::nullopt});
    segments.push_back({match, token.id});
    done = match.end;
  }
  if (done < text.size()) segments.push_back({{done, text.size()}, std::nullopt});
  return segments;
}

std::optional<uint32_t> AddedTokens::IdOf(absl::string_view content) const {
  const auto it = ids_.find(content);
  if (it == ids_.end()) return std::nullopt;
  return it->second;
}

const std::string* AddedTokens::SpellingOf(uint32_t id) const {
  const auto it = slots_.find(id);
  return it == slots_.end() ? nullptr : &spellings_[it->second];
}

}  // namespace shoal::model::pipeline
