#include "model/tokenizer/pipeline/word_patterns.h"

#include <string>
#include <vector>

#include "catch2/catch.hpp"
#include "common/base/philox.h"
#include "model/tokenizer/pipeline/pattern.h"

namespace shoal::model::pipeline {
namespace {

const std::string kGpt2 = R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
const std::string kLlama3 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
const std::string kQwen2 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

std::string RandomText(PhiloxStream* random) {
  const char* const parts[] = {"a",  "B",      "'",      "s",      "LL",     "re",         "\u017F", " ", " ",
                               "  ", "\n",     "\r",     "\t",     "\v",     "1",          "23",     "!", "-",
                               "_",  "\u00E9", "\u0301", "\u3000", "\u4F60", "\U0001F600", "\u00BD"};
  std::string text;
  for (uint64_t left = random->UniformInt(12); left > 0; --left)
    text += parts[random->UniformInt(std::size(parts))];
  return text;
}

std::vector<absl::string_view> Words(WordPattern pattern, absl::string_view text) {
  std::vector<absl::string_view> words;
  for (size_t at = 0; at < text.size();) {
    const size_t end = WordEnd(pattern, text, at);
    REQUIRE(end > at);
    words.push_back(text.substr(at, end - at));
    at = end;
  }
  return words;
}

TEST_CASE("The matchers find the words that the regular expressions find") {
  PhiloxStream random(DeriveKey(1, "words"));
  for (const std::string& regex : {kGpt2, kLlama3, kQwen2}) {
    const auto pattern = FindWordPattern(regex);
    REQUIRE(pattern.has_value());
    const auto engine = MakeRegex(regex);
    REQUIRE(engine.ok());
    for (int i = 0; i < 2000; ++i) {
      const std::string text = RandomText(&random);
      std::vector<ByteRange> matches;
      (*engine)->FindMatches(text, &matches);
      std::vector<absl::string_view> expected;
      for (const ByteRange& match : matches) expected.push_back(Part(text, match));
      INFO(text);
      CHECK(Words(*pattern, text) == expected);
    }
  }
}

TEST_CASE("Other expressions are left to the engine") {
  CHECK_FALSE(FindWordPattern(R"(\w+)").has_value());
  CHECK_FALSE(FindWordPattern(kGpt2 + " ").has_value());
}

}  // namespace
}  // namespace shoal::model::pipeline
