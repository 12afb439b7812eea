#include "model/tokenizer/training_words.h"

#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "model/tokenizer/sentencepiece_constants.h"
#include "unicode/utf8.h"

namespace shoal::model {
namespace {

using Counts = absl::flat_hash_map<std::string, uint64_t>;

Counts CountWholeWords(absl::Span<const absl::string_view> lines, LetterCase letter_case) {
  Counts counts;
  for (absl::string_view line : lines) {
    const std::string text = NormalizeText(line, letter_case);
    for (absl::string_view word : absl::StrSplit(text, ' ', absl::SkipEmpty())) {
      ++counts[absl::StrCat(kSpacePiece, word)];
    }
  }
  return counts;
}

// The most frequent characters whose occurrences make up `coverage` of all; `others`: how many there are
// besides.
absl::flat_hash_set<std::string> CoveredCharacters(const Counts& words, double coverage, size_t* others) {
  absl::flat_hash_map<absl::string_view, uint64_t> counts;
  uint64_t all = 0;
  for (const auto& [word, count] : words) {
    for (absl::string_view c : SplitCharacters(word)) {
      counts[c] += count;
      all += count;
    }
  }
  std::vector<std::pair<absl::string_view, uint64_t>> sorted(counts.begin(), counts.end());
  std::sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) {
    return a.second != b.second ? a.second > b.second : a.first < b.first;
  });
  absl::flat_hash_set<std::string> covered;
  uint64_t so_far = 0;
  for (const auto& [c, count] : sorted) {
    if (static_cast<double>(so_far) >= coverage * static_cast<double>(all)) break;
    covered.emplace(c);
    so_far += count;
  }
  *others = sorted.size() - covered.size();
  return covered;
}

// Adds the parts of `word` between characters that are not covered.
void AddCovered(absl::string_view word, uint64_t count, const absl::flat_hash_set<std::string>& covered,
                Counts* pieces) {
  std::string stretch;
  size_t length = 0;
  const auto flush = [&] {
    if (length > 0) (*pieces)[stretch] += count;
    stretch.clear();
    length = 0;
  };
  for (absl::string_view c : SplitCharacters(word)) {
    const bool is_covered = covered.contains(c);
    if (!is_covered || length == kMaxWordCharacters) flush();
    if (!is_covered) continue;
    stretch.append(c.data(), c.size());
    ++length;
  }
  flush();
}

}  // namespace

std::vector<absl::string_view> SplitCharacters(absl::string_view text) {
  std::vector<absl::string_view> characters;
  const auto size = static_cast<int32_t>(text.size());
  for (int32_t i = 0; i < size;) {
    const int32_t begin = i;
    U8_FWD_1(text.data(), i, size);
    characters.push_back(text.substr(begin, i - begin));
  }
  return characters;
}

TrainingWords CountWords(absl::Span<const absl::string_view> lines, LetterCase letter_case, double coverage,
                         absl::string_view required) {
  const Counts whole = CountWholeWords(lines, letter_case);
  TrainingWords result;
  absl::flat_hash_set<std::string> covered = CoveredCharacters(whole, coverage, &result.left_out);
  covered.emplace(kSpacePiece);
  for (absl::string_view c : SplitCharacters(required)) covered.emplace(c);

  Counts stretches;
  for (const auto& [word, count] : whole) AddCovered(word, count, covered, &stretches);

  for (const auto& [text, count] : stretches) result.words.push_back({text, count});
  std::sort(result.words.begin(), result.words.end(),
            [](const TrainingWord& a, const TrainingWord& b) { return a.text < b.text; });
  result.characters.assign(covered.begin(), covered.end());
  std::sort(result.characters.begin(), result.characters.end());
  return result;
}

}  // namespace shoal::model
