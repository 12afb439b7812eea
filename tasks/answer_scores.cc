#include "tasks/answer_scores.h"

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <map>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "common/base/status.h"
#include "unicode/uchar.h"
#include "unicode/ustring.h"

namespace shoal::tasks {
namespace {

using Characters = std::u32string;
using Words = std::vector<Characters>;

// In lower case by Unicode's rules, which depend on what is around a character.
Characters LowerCharacters(absl::string_view text) {
  const auto size = static_cast<int32_t>(text.size());
  std::vector<UChar> utf16(text.size() + 1), lower(3 * text.size() + 1);
  UErrorCode error = U_ZERO_ERROR;
  int32_t units = 0, lowered = 0, count = 0;
  u_strFromUTF8(utf16.data(), static_cast<int32_t>(utf16.size()), &units, text.data(), size, &error);
  lowered = u_strToLower(lower.data(), static_cast<int32_t>(lower.size()), utf16.data(), units, "", &error);
  std::vector<UChar32> codes(lower.size());
  u_strToUTF32(codes.data(), static_cast<int32_t>(codes.size()), &count, lower.data(), lowered, &error);
  SHOAL_CHECK(U_SUCCESS(error));
  return Characters(codes.begin(), codes.begin() + count);
}

bool IsSpace(char32_t code) {
  return (code >= 0x1C && code <= 0x1F) || u_isUWhiteSpace(static_cast<UChar32>(code));
}

bool IsAsciiPunctuation(char32_t code) {
  return code < 0x80 && absl::ascii_ispunct(static_cast<unsigned char>(code));
}

// \w of Python's regular expressions.
bool IsWordCharacter(char32_t code) {
  constexpr uint32_t kMask = U_GC_L_MASK | U_GC_N_MASK;
  return code == '_' || (U_GET_GC_MASK(static_cast<UChar32>(code)) & kMask) != 0;
}

// ---- SQuAD ----

Characters WithoutArticles(const Characters& text) {
  Characters rest;
  for (size_t at = 0; at < text.size();) {
    size_t end = at;
    while (end < text.size() && IsWordCharacter(text[end])) ++end;
    const Characters word = text.substr(at, end - at);
    rest += word == U"a" || word == U"an" || word == U"the" ? U" " : word;
    if (end < text.size()) rest += text[end++];
    at = end;
  }
  return rest;
}

Words SplitAtSpaces(const Characters& text) {
  Words words;
  bool in_word = false;
  for (const char32_t code : text) {
    if (IsSpace(code)) {
      in_word = false;
      continue;
    }
    if (!std::exchange(in_word, true)) words.emplace_back();
    words.back() += code;
  }
  return words;
}

Words SquadWords(absl::string_view text) {
  Characters kept;
  for (const char32_t code : LowerCharacters(text)) {
    if (!IsAsciiPunctuation(code)) kept += code;
  }
  return SplitAtSpaces(WithoutArticles(kept));
}

float F1Of(size_t common, size_t predicted, size_t right) {
  if (common == 0) return 0;
  const double precision = static_cast<double>(common) / static_cast<double>(predicted);
  const double recall = static_cast<double>(common) / static_cast<double>(right);
  return static_cast<float>(2 * precision * recall / (precision + recall));
}

AnswerScores SquadScores(const Words& predicted, const Words& right, AnswerMeasure measure) {
  const bool exact = predicted == right;
  if (measure == ANSWER_MEASURE_SQUAD_2 && (predicted.empty() || right.empty()))
    return {exact, exact ? 1.0f : 0.0f};
  std::map<Characters, size_t> left;
  for (const Characters& word : right) ++left[word];
  size_t common = 0;
  for (const Characters& word : predicted) {
    const auto found = left.find(word);
    if (found == left.end() || found->second == 0) continue;
    --found->second;
    ++common;
  }
  return {exact, F1Of(common, predicted.size(), right.size())};
}

// ---- CMRC ----

bool IsChinese(char32_t code) { return code >= 0x4E00 && code <= 0x9FA5; }

// What the script leaves out.
bool IsLeftOut(char32_t code) {
  static const Characters kLeftOut = U"-:_*^/\\~`+=，。：？！“”；’《》·、「」（）－～『』";
  return kLeftOut.find(code) != Characters::npos;
}

Characters CmrcCharacters(absl::string_view text) {
  // Spaces that only marks separate from the ends stay.
  Characters all = LowerCharacters(text), kept;
  const auto space = [](char32_t code) { return IsSpace(code); };
  all.erase(std::find_if_not(all.rbegin(), all.rend(), space).base(), all.end());
  all.erase(all.begin(), std::find_if_not(all.begin(), all.end(), space));
  std::copy_if(all.begin(), all.end(), std::back_inserter(kept),
               [](char32_t code) { return !IsLeftOut(code); });
  return kept;
}

// Whether NLTK makes a word of the mark at `at` of a word.
bool StandsAlone(const Characters& word, size_t at) {
  static const Characters kAlways = U";@#$%&?!()[]{}<>\"";
  const bool last = at + 1 == word.size();
  if (word[at] == ',') return last || word[at + 1] < '0' || word[at + 1] > '9';
  return kAlways.find(word[at]) != Characters::npos || (word[at] == '.' && last);
}

Words CmrcWords(absl::string_view text) {
  Words words;
  for (const Characters& part : SplitAtSpaces(CmrcCharacters(text))) {
    bool in_word = false;
    for (size_t at = 0; at < part.size(); ++at) {
      const bool alone = IsChinese(part[at]) || StandsAlone(part, at);
      if (alone || !in_word) words.emplace_back();
      words.back() += part[at];
      in_word = !alone;
    }
  }
  return words;
}

// The length of the longest run of words that both have.
size_t LongestCommonRun(const Words& a, const Words& b) {
  size_t longest = 0;
  std::vector<size_t> above(b.size() + 1), row(b.size() + 1);
  for (const Characters& word : a) {
    for (size_t j = 0; j < b.size(); ++j) {
      row[j + 1] = word == b[j] ? above[j] + 1 : 0;
      longest = std::max(longest, row[j + 1]);
    }
    std::swap(above, row);
  }
  return longest;
}

AnswerScores CmrcScores(absl::string_view predicted, absl::string_view right) {
  const Words of_predicted = CmrcWords(predicted), of_right = CmrcWords(right);
  return {CmrcCharacters(predicted) == CmrcCharacters(right),
          F1Of(LongestCommonRun(of_right, of_predicted), of_predicted.size(), of_right.size())};
}

}  // namespace

AnswerScores ScoreAnswer(absl::string_view predicted, absl::Span<const std::string> answers,
                         AnswerMeasure measure) {
  AnswerScores best;
  const auto take = [&best](const AnswerScores& scores) {
    best = {best.exact || scores.exact, std::max(best.f1, scores.f1)};
  };
  if (measure == ANSWER_MEASURE_CMRC) {
    if (answers.empty() && predicted.empty()) return {true, 1};
    for (const std::string& answer : answers) take(CmrcScores(predicted, answer));
    return best;
  }
  const Words words = SquadWords(predicted);
  bool any = false;
  for (const std::string& answer : answers) {
    const Words right = SquadWords(answer);
    if (measure == ANSWER_MEASURE_SQUAD_2 && right.empty()) continue;
    any = true;
    take(SquadScores(words, right, measure));
  }
  if (!any && measure == ANSWER_MEASURE_SQUAD_2) take(SquadScores(words, {}, measure));
  return best;
}

AnswerMeasure MeasureOf(absl::string_view text, bool may_lack_answer) {
  size_t chinese = 0, letters = 0;
  for (const char32_t code : LowerCharacters(text)) {
    chinese += IsChinese(code) ? 1 : 0;
    letters += code >= 'a' && code <= 'z' ? 1 : 0;
  }
  if (chinese > letters) return ANSWER_MEASURE_CMRC;
  return may_lack_answer ? ANSWER_MEASURE_SQUAD_2 : ANSWER_MEASURE_SQUAD_1;
}

}  // namespace shoal::tasks
