#include "model/tokenizer/pipeline/word_patterns.h"

#include <cstdint>

#include "absl/strings/ascii.h"
#include "model/tokenizer/characters.h"
#include "model/tokenizer/pipeline/character_classes.h"

namespace shoal::model::pipeline {
namespace {

constexpr absl::string_view kGpt2Regex =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
constexpr absl::string_view kLlama3Regex =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr absl::string_view kQwen2Regex =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

enum class Kind { kLetter, kNumber, kSpace, kOther, kEnd };

Kind KindOf(uint32_t code) {
  if (IsLetter(code)) return Kind::kLetter;
  if (IsWhiteSpace(code)) return Kind::kSpace;
  return IsNumber(code) ? Kind::kNumber : Kind::kOther;
}

Kind KindAt(absl::string_view text, size_t at) {
  return at < text.size() ? KindOf(CharacterAt(text, at).code) : Kind::kEnd;
}

// The end of the characters of one kind from `at`, of which at most `limit`.
size_t RunEnd(absl::string_view text, size_t at, Kind kind, size_t limit = SIZE_MAX) {
  for (; limit > 0 && at < text.size(); --limit) {
    const Character c = CharacterAt(text, at);
    if (KindOf(c.code) != kind) break;
    at += c.bytes;
  }
  return at;
}

bool IsLineBreak(char c) { return c == '\r' || c == '\n'; }

// The bytes of the contraction ("'s", "'ll") that `text` starts with, or 0.
size_t ContractionBytes(absl::string_view text, bool any_case) {
  if (text.size() < 2 || text[0] != '\'') return 0;
  const auto letter = [&](size_t i) {
    if (i >= text.size()) return '\0';
    return any_case ? absl::ascii_tolower(static_cast<unsigned char>(text[i])) : text[i];
  };
  const char first = letter(1), second = letter(2);
  if (first == 's' || first == 't' || first == 'm' || first == 'd') return 2;
  if ((first == 'r' || first == 'v') && second == 'e') return 3;
  if (first == 'l' && second == 'l') return 3;
  // The long s, whose lower and upper case are those of s.
  return any_case && text.substr(1, 2) == "\u017F" ? 3 : 0;
}

// White space up to the last character before a word, which belongs to that word; all of it at the end of the
// text, and a single character always.
size_t SpaceEnd(absl::string_view text, size_t begin) {
  const size_t end = RunEnd(text, begin, Kind::kSpace);
  if (end == text.size()) return end;
  const size_t last = end - CharacterBefore(text, end).bytes;
  return last > begin ? last : end;
}

size_t Gpt2End(absl::string_view text, size_t begin) {
  if (const size_t bytes = ContractionBytes(text.substr(begin), false); bytes > 0) return begin + bytes;
  const size_t start = begin + (text[begin] == ' ');
  const Kind kind = KindAt(text, start);
  if (kind == Kind::kEnd || kind == Kind::kSpace) return SpaceEnd(text, begin);
  return RunEnd(text, start, kind);
}

// The end of the last line break in the white space from `begin`; `begin` when there is none.
size_t LineBreaksEnd(absl::string_view text, size_t begin) {
  size_t end = RunEnd(text, begin, Kind::kSpace);
  while (end > begin && !IsLineBreak(text[end - 1])) --end;
  return end;
}

size_t OthersEnd(absl::string_view text, size_t start) {
  size_t end = RunEnd(text, start, Kind::kOther);
  while (end < text.size() && IsLineBreak(text[end])) ++end;
  return end;
}

size_t Llama3End(absl::string_view text, size_t begin, size_t max_digits) {
  if (const size_t bytes = ContractionBytes(text.substr(begin), true); bytes > 0) return begin + bytes;
  const Character first = CharacterAt(text, begin);
  const Kind kind = KindOf(first.code);
  if (kind == Kind::kLetter) return RunEnd(text, begin, kind);
  if (kind == Kind::kNumber) return RunEnd(text, begin, kind, max_digits);
  const size_t second = begin + first.bytes;
  const Kind next = KindAt(text, second);
  if (next == Kind::kLetter && !IsLineBreak(text[begin])) return RunEnd(text, second, next);
  if (kind == Kind::kOther) return OthersEnd(text, begin);
  if (first.code == ' ' && next == Kind::kOther) return OthersEnd(text, second);
  const size_t line_breaks = LineBreaksEnd(text, begin);
  return line_breaks > begin ? line_breaks : SpaceEnd(text, begin);
}

}  // namespace

std::optional<WordPattern> FindWordPattern(absl::string_view regex) {
  if (regex == kGpt2Regex) return WordPattern::kGpt2;
  if (regex == kLlama3Regex) return WordPattern::kLlama3;
  if (regex == kQwen2Regex) return WordPattern::kQwen2;
  return std::nullopt;
}

size_t WordEnd(WordPattern pattern, absl::string_view text, size_t begin) {
  if (pattern == WordPattern::kGpt2) return Gpt2End(text, begin);
  return Llama3End(text, begin, pattern == WordPattern::kLlama3 ? 3 : 1);
}

}  // namespace shoal::model::pipeline
