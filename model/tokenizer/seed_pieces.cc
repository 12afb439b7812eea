#include "model/tokenizer/seed_pieces.h"

#include <algorithm>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "common/base/portable_math.h"
#include "model/tokenizer/sentencepiece_constants.h"
#include "unicode/uscript.h"
#include "unicode/utf8.h"

namespace shoal::model {
namespace {

struct Candidate {
  absl::string_view text;
  uint64_t weight = 0;  // occurrences × characters
};

// A word cut into characters.
struct CutWord {
  absl::string_view text;
  uint64_t count = 0;
  std::vector<uint32_t> offsets;  // of the characters, and the end
  std::vector<uint8_t> joined;    // [i]: character i and the next may be in one piece
  std::vector<uint8_t> frequent;  // [i]: characters of the longest frequent substring that starts at i
  size_t length() const { return joined.size(); }
  absl::string_view Substring(size_t begin, size_t characters) const {
    return text.substr(offsets[begin], offsets[begin + characters] - offsets[begin]);
  }
};

constexpr int kAnyScript = -1;

// Japanese mixes three scripts within a word; marks belong to the letter before them.
int ScriptOf(absl::string_view character, int previous) {
  if (character == kSpacePiece) return kAnyScript;
  UChar32 c;
  int32_t i = 0;
  U8_NEXT_OR_FFFD(character.data(), i, static_cast<int32_t>(character.size()), c);
  UErrorCode error = U_ZERO_ERROR;
  const UScriptCode script = uscript_getScript(c, &error);
  if (script == USCRIPT_INHERITED) return previous;
  if (script == USCRIPT_HIRAGANA || script == USCRIPT_KATAKANA || c == 0x30FC) return USCRIPT_HAN;
  return script;
}

CutWord Cut(const TrainingWord& word) {
  CutWord cut;
  cut.text = word.text;
  cut.count = word.count;
  cut.offsets.push_back(0);
  int previous = kAnyScript;
  for (absl::string_view c : SplitCharacters(word.text)) {
    const int script = ScriptOf(c, previous);
    const bool follows = previous == kAnyScript || script == previous;
    if (!cut.joined.empty()) cut.joined.back() = follows ? 1 : 0;
    cut.joined.push_back(0);
    cut.offsets.push_back(cut.offsets.back() + static_cast<uint32_t>(c.size()));
    previous = script;
  }
  cut.frequent.assign(cut.length(), 1);
  return cut;
}

// Calls use(begin) where a substring of this many characters may be frequent, because both of its substrings
// that are one character shorter are (Agrawal and Srikant 1994, "Fast Algorithms for Mining Association
// Rules").
template <typename Use>
void ForEachPossible(const CutWord& word, size_t characters, Use&& use) {
  for (size_t i = 0; i + characters <= word.length(); ++i) {
    if (!word.joined[i] || word.frequent[i] + 1u != characters || word.frequent[i + 1] + 1u < characters)
      continue;
    use(i);
  }
}

// Appends the frequent substrings of this many characters. Returns false when there are none.
bool AddFrequent(size_t characters, std::vector<CutWord>* words, std::vector<Candidate>* found) {
  absl::flat_hash_map<absl::string_view, uint64_t> counts;
  for (const CutWord& word : *words) {
    ForEachPossible(word, characters, [&](size_t i) { counts[word.Substring(i, characters)] += word.count; });
  }
  const size_t before = found->size();
  for (const auto& [text, count] : counts) {
    if (count >= 2) found->push_back({text, count * characters});
  }
  for (CutWord& word : *words) {
    ForEachPossible(word, characters, [&](size_t i) {
      if (counts[word.Substring(i, characters)] >= 2) word.frequent[i] = static_cast<uint8_t>(characters);
    });
  }
  return found->size() > before;
}

std::vector<Candidate> FrequentSubstrings(std::vector<CutWord>* words) {
  std::vector<Candidate> found;
  for (size_t characters = 2; characters <= kMaxPieceCharacters; ++characters) {
    if (!AddFrequent(characters, words, &found)) break;
  }
  return found;
}

absl::flat_hash_map<absl::string_view, uint64_t> CharacterCounts(const std::vector<CutWord>& words) {
  absl::flat_hash_map<absl::string_view, uint64_t> counts;
  for (const CutWord& word : words) {
    for (size_t i = 0; i < word.length(); ++i) counts[word.Substring(i, 1)] += word.count;
  }
  return counts;
}

bool ByWeight(const Candidate& a, const Candidate& b) {
  return a.weight != b.weight ? a.weight > b.weight : a.text < b.text;
}

}  // namespace

std::vector<ScoredPiece> SeedPieces(const TrainingWords& words, size_t max_pieces) {
  std::vector<CutWord> cut;
  cut.reserve(words.words.size());
  for (const TrainingWord& word : words.words) cut.push_back(Cut(word));
  std::vector<Candidate> chosen = FrequentSubstrings(&cut);
  if (chosen.size() > max_pieces) {
    std::nth_element(chosen.begin(), chosen.begin() + max_pieces, chosen.end(), ByWeight);
    chosen.resize(max_pieces);
  }
  const auto counts = CharacterCounts(cut);
  for (const std::string& c : words.characters) {
    const auto it = counts.find(c);
    chosen.push_back({c, it == counts.end() ? 1 : it->second});
  }
  std::sort(chosen.begin(), chosen.end(),
            [](const Candidate& a, const Candidate& b) { return a.text < b.text; });
  uint64_t total = 0;
  for (const Candidate& candidate : chosen) total += candidate.weight;
  std::vector<ScoredPiece> pieces;
  pieces.reserve(chosen.size());
  const double log_total = PortableLog(static_cast<double>(total));
  for (const Candidate& candidate : chosen) {
    pieces.push_back(
        {std::string(candidate.text), PortableLog(static_cast<double>(candidate.weight)) - log_total});
  }
  return pieces;
}

}  // namespace shoal::model
