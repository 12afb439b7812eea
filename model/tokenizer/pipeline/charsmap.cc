#include "model/tokenizer/pipeline/charsmap.h"

#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/base/utf8.h"
#include "model/tokenizer/characters.h"

namespace shoal::model::pipeline {
namespace {

uint32_t ReadUnit(absl::string_view bytes, size_t at) {
  uint32_t unit = 0;
  for (size_t i = 4; i-- > 0;) unit = unit << 8 | static_cast<uint8_t>(bytes[at + i]);
  return unit;
}

// The layout of a unit (darts-clone): a leaf's value, or the label of the edge to it and the distance to its
// children.
bool HasLeaf(uint32_t unit) { return (unit >> 8 & 1) != 0; }
uint32_t LeafValue(uint32_t unit) { return unit & 0x7FFFFFFF; }
uint32_t Label(uint32_t unit) { return unit & 0x800000FF; }
uint32_t Offset(uint32_t unit) { return (unit >> 10) << ((unit & 0x200) >> 6); }

}  // namespace

absl::StatusOr<Charsmap> Charsmap::Parse(absl::string_view bytes) {
  const size_t trie_bytes = bytes.size() < 4 ? 0 : ReadUnit(bytes, 0);
  if (bytes.size() < 4 || trie_bytes % 4 != 0 || trie_bytes == 0 || trie_bytes > bytes.size() - 4) {
    return absl::InvalidArgumentError(absl::StrCat("is a map of ", bytes.size(), " bytes with a trie of ",
                                                   trie_bytes, ", expected a part of it in units of 4"));
  }
  Charsmap result;
  for (size_t at = 4; at < 4 + trie_bytes; at += 4) result.units_.push_back(ReadUnit(bytes, at));
  result.replacements_ = std::string(bytes.substr(4 + trie_bytes));
  if (!IsValidUtf8(result.replacements_)) {
    return absl::InvalidArgumentError("has replacements that are not UTF-8");
  }
  size_t begin = 0;
  for (size_t end = 0; end <= result.replacements_.size(); ++end) {
    if (end < result.replacements_.size() && result.replacements_[end] != '\0') continue;
    result.max_replacement_bytes_ = std::max(result.max_replacement_bytes_, end - begin);
    begin = end + 1;
  }
  return result;
}

std::optional<absl::string_view> Charsmap::Replacement(size_t begin) const {
  if (begin >= replacements_.size() || !IsCharacterBoundary(replacements_, begin)) return std::nullopt;
  const size_t end = replacements_.find('\0', begin);
  return absl::string_view(replacements_).substr(begin, end == std::string::npos ? end : end - begin);
}

template <typename Visit>
void Charsmap::ForEachPrefix(absl::string_view text, Visit&& visit) const {
  if (units_.empty()) return;
  size_t node = Offset(units_[0]);
  for (size_t i = 0; i < text.size(); ++i) {
    node ^= static_cast<uint8_t>(text[i]);
    if (node >= units_.size() || Label(units_[node]) != static_cast<uint8_t>(text[i])) return;
    const bool has_leaf = HasLeaf(units_[node]);
    node ^= Offset(units_[node]);
    if (!has_leaf || node >= units_.size() || !IsCharacterBoundary(text, i + 1)) continue;
    const auto replacement = Replacement(LeafValue(units_[node]));
    if (replacement.has_value() && !visit(Match{i + 1, *replacement})) return;
  }
}

std::optional<Charsmap::Match> Charsmap::FindLongest(absl::string_view text) const {
  std::optional<Match> longest;
  ForEachPrefix(text, [&](const Match& match) {
    longest = match;
    return true;
  });
  return longest;
}

std::optional<Charsmap::Match> Charsmap::FindShortest(absl::string_view text) const {
  std::optional<Match> shortest;
  ForEachPrefix(text, [&](const Match& match) {
    shortest = match;
    return false;
  });
  return shortest;
}

}  // namespace shoal::model::pipeline
