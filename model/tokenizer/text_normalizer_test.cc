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

TEST_CASE("Case stays") { CHECK(NormalizeText("GNU") == "GNU"); }

}  // namespace
}  // namespace shoal::model
