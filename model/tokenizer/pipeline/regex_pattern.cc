#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/base/utf8.h"
#include "model/tokenizer/pipeline/pattern.h"
#include "unicode/regex.h"
#include "unicode/utext.h"

namespace shoal::model::pipeline {
namespace {

// In ICU's units, each of 10,000 steps.
constexpr int32_t kTimeLimit = 1000;

// ^ and $ match at every line, and only a line feed ends a line.
constexpr uint32_t kFlags = UREGEX_MULTILINE | UREGEX_UNIX_LINES;

constexpr struct {
  char escape;
  absl::string_view set;
} kEscapes[] = {
    {'s', R"(\p{White_Space})"},
    {'S', R"(\P{White_Space})"},
    {'h', "[0-9A-Fa-f]"},
    {'H', "[^0-9A-Fa-f]"},
    {'w', R"([\p{Alphabetic}\p{M}\p{Nd}\p{Pc}])"},
    {'W', R"([^\p{Alphabetic}\p{M}\p{Nd}\p{Pc}])"},
};
// Outside of sets, Oniguruma counts Latin-1's superscripts and fractions among \w.
constexpr absl::string_view kWordsOutsideSets =
    R"([\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\u00B2\u00B3\u00B9\u00BC-\u00BE])";

std::string Escape(char c, bool in_set) {
  if (c == 'w' && !in_set) return std::string(kWordsOutsideSets);
  for (const auto& [escape, set] : kEscapes) {
    if (c == escape) return std::string(set);
  }
  return {'\\', c};
}

// `regex` with Oniguruma's escapes written in ICU's syntax.
std::string ToIcu(absl::string_view regex) {
  std::string result;
  int depth = 0;  // of sets
  for (size_t i = 0; i < regex.size(); ++i) {
    if (regex[i] == '\\' && i + 1 < regex.size()) {
      result += Escape(regex[++i], depth > 0);
      continue;
    }
    if (regex[i] == '[') ++depth;
    if (regex[i] == ']' && depth > 0) --depth;
    result += regex[i];
  }
  return result;
}

// Whether a group such as (?m: or (?x) has a flag whose meaning differs.
bool HasOtherFlags(absl::string_view regex) {
  for (size_t at = regex.find("(?"); at != absl::string_view::npos; at = regex.find("(?", at + 2)) {
    const absl::string_view rest = regex.substr(at + 2);
    const absl::string_view flags = rest.substr(0, rest.find_first_not_of("imsxwad-"));
    if (flags.find_first_not_of("i-") != absl::string_view::npos) return true;
  }
  return false;
}

struct CloseText {
  void operator()(UText* text) const { utext_close(text); }
};

class RegexMatcher : public Pattern {
 public:
  explicit RegexMatcher(std::unique_ptr<icu::RegexPattern> pattern) : pattern_(std::move(pattern)) {}

  void FindMatches(absl::string_view text, std::vector<ByteRange>* matches) const override {
    UErrorCode error = U_ZERO_ERROR;
    const std::unique_ptr<UText, CloseText> input(
        utext_openUTF8(nullptr, text.data(), static_cast<int64_t>(text.size()), &error));
    const std::unique_ptr<icu::RegexMatcher> matcher(pattern_->matcher(error));
    if (U_FAILURE(error)) return;
    matcher->setTimeLimit(kTimeLimit, error);
    matcher->reset(input.get());
    FindAll(text, matcher.get(), matches);
  }
  size_t MinBytes() const override { return 0; }

 private:
  // An empty match right after a match does not count.
  static void FindAll(absl::string_view text, icu::RegexMatcher* matcher, std::vector<ByteRange>* matches) {
    UErrorCode error = U_ZERO_ERROR;
    size_t at = 0, last_end = SIZE_MAX;
    while (at <= text.size() && matcher->find(static_cast<int64_t>(at), error) && U_SUCCESS(error)) {
      const auto begin = static_cast<size_t>(matcher->start64(error));
      const auto end = static_cast<size_t>(matcher->end64(error));
      if (begin == end && end == last_end) {
        at += at < text.size() ? CharacterAt(text, at).bytes : 1;
        continue;
      }
      matches->push_back({begin, end});
      at = last_end = end;
    }
  }

  std::unique_ptr<icu::RegexPattern> pattern_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Pattern>> MakeRegex(const std::string& regex) {
  if (HasOtherFlags(regex)) {
    return absl::InvalidArgumentError(
        absl::StrCat("is '", ToQuoted(regex), "', whose inline flags are not supported, except i"));
  }
  UErrorCode error = U_ZERO_ERROR;
  UParseError where{};
  const icu::UnicodeString pattern = icu::UnicodeString::fromUTF8(ToIcu(regex));
  std::unique_ptr<icu::RegexPattern> compiled(icu::RegexPattern::compile(pattern, kFlags, where, error));
  if (U_FAILURE(error)) {
    return absl::InvalidArgumentError(absl::StrCat("is '", ToQuoted(regex),
                                                   "', which is not a regular expression of ICU's syntax (",
                                                   u_errorName(error), ")"));
  }
  return std::make_unique<RegexMatcher>(std::move(compiled));
}

}  // namespace shoal::model::pipeline
