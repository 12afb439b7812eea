#include "model/tokenizer/text_normalizer.h"

#include <string>

#include "catch2/catch.hpp"

namespace shoal::model {
namespace {

TEST_CASE("Spaces of all kinds become one space, and none stays at the ends") {
  CHECK(NormalizeText("  a \t b\r\nc  ") == "a b c");
  CHECK(NormalizeText("a\u00A0b\u3000c\u1680d\u2028e") == "a b c d e");
  CHECK(NormalizeText("\u2581a\u2581") == "a");
  CHECK(NormalizeText("").empty());
  CHECK(NormalizeText(" \n ").empty());
}

TEST_CASE("Characters that only look different become the same") {
  CHECK(NormalizeText("cafe\u0301") == "caf\u00E9");
  CHECK(NormalizeText("\uFF21\uFB01\u00BD") == "Afi1\u20442");
}

TEST_CASE("Invisible characters go") {
  CHECK(NormalizeText(std::string("a\0b\x01\x7F", 5)) == "ab");
  CHECK(NormalizeText("\uFEFFa\u200Bb\u00ADc\u2060") == "abc");
}

TEST_CASE("Bytes that are not UTF-8 become the replacement character") {
  CHECK(NormalizeText("a\xFFz") == "a\uFFFDz");
  CHECK(NormalizeText("\xE2\x82") == "\uFFFD");
}

TEST_CASE("Case stays unless lower case is asked for") {
  CHECK(NormalizeText("GNU") == "GNU");
  CHECK(NormalizeText("  GNU \u00C9t\u00E9\u200B ", LetterCase::kLower) == "gnu \u00E9t\u00E9");
  CHECK(NormalizeText("\uFF21\u212A", LetterCase::kLower) == "ak");  // full width, Kelvin
  CHECK(NormalizeText("a\xFFZ", LetterCase::kLower) == "a\uFFFDz");
}

TEST_CASE("Lower case looks at each character by itself, as `tokenizers` does") {
  CHECK(NormalizeText("\u03A3\u039F\u03A3", LetterCase::kLower) == "\u03C3\u03BF\u03C3");  // no final sigma
  CHECK(NormalizeText("\u0130", LetterCase::kLower) == "i\u0307");
  CHECK(NormalizeText("\u00DF", LetterCase::kLower) == "\u00DF");
}

}  // namespace
}  // namespace shoal::model
