#include "common/base/plain_text.h"

#include "catch2/catch.hpp"

namespace shoal {
namespace {

TEST_CASE("Plain text keeps what people read, in any language") {
  const std::string text = "loss 0.5, größer, 損失, 100 %";
  CHECK(PlainLine(text) == text);
  CHECK(PlainLines(text) == text);
}

TEST_CASE("Control characters of one and of two bytes, and bytes that are not UTF-8, become a '?'") {
  CHECK(PlainLine("a\x1b[2Jb\x07\x7f") == "a?[2Jb??");
  CHECK(PlainLine("\xC2\x9B"
                  "31m") == "?31m");
  CHECK(PlainLine("\xC2\xA0") == "\xC2\xA0");  // a no-break space
  CHECK(PlainLine("\xff\xC2") == "??");
  CHECK(PlainLine(absl::string_view("\0", 1)) == "?");
}

TEST_CASE("A line stays one line, and lines stay lines") {
  CHECK(PlainLine("first\nsecond\r\n\tthird") == "first second   third");
  CHECK(PlainLines("first\nsecond\r\n\tthird") == "first\nsecond \n third");
}

}  // namespace
}  // namespace shoal
