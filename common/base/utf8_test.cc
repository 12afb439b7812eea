#include "common/base/utf8.h"

#include "catch2/catch.hpp"

namespace shoal {
namespace {

TEST_CASE("Well-formed UTF-8 of every length is text") {
  CHECK(IsValidUtf8(""));
  CHECK(IsValidUtf8("plain\n"));
  CHECK(IsValidUtf8("\xC2\x80 \xDF\xBF"));                       // U+0080, U+07FF
  CHECK(IsValidUtf8("\xE0\xA0\x80 \xED\x9F\xBF \xEE\x80\x80"));  // around the surrogates
  CHECK(IsValidUtf8("\xF0\x90\x80\x80 \xF4\x8F\xBF\xBF"));       // U+10000, U+10FFFF
}

TEST_CASE("Bytes that no encoder writes are not text") {
  CHECK_FALSE(IsValidUtf8("\x80"));              // continuation alone
  CHECK_FALSE(IsValidUtf8("\xC0\x80"));          // overlong
  CHECK_FALSE(IsValidUtf8("\xE0\x9F\xBF"));      // overlong
  CHECK_FALSE(IsValidUtf8("\xF0\x8F\xBF\xBF"));  // overlong
  CHECK_FALSE(IsValidUtf8("\xED\xA0\x80"));      // surrogate
  CHECK_FALSE(IsValidUtf8("\xF4\x90\x80\x80"));  // above U+10FFFF
  CHECK_FALSE(IsValidUtf8("\xFF"));
}

TEST_CASE("What is not text becomes text, and text stays as it is") {
  CHECK(ToValidUtf8("") == "");
  CHECK(ToValidUtf8("gr\xC3\xB6\xC3\x9F"
                    "e") ==
        "gr\xC3\xB6\xC3\x9F"
        "e");
  CHECK(ToValidUtf8("tensor \xFF\xC3.0") == "tensor ??.0");
  CHECK(ToValidUtf8("cut \xE2\x82") == "cut ??");
}

TEST_CASE("Messages, and what they quote, are cut between characters") {
  const std::string message(kMaxMessage_bytes, 'm');
  CHECK(ToMessage(message) == message);
  CHECK(ToMessage(message + "more") == message + "...");
  const std::string quoted(kMaxQuoted_bytes - 1, 'q');
  CHECK(ToQuoted(quoted + "\n") == quoted + "?");
  CHECK(ToQuoted("\x1B[31mred\t\x7F") == "?[31mred??");
  CHECK(ToQuoted(quoted + "\xE2\x82\xAC and more") == quoted + "...");
  CHECK(ToQuoted(std::string(1000, '\x80')) == std::string(kMaxQuoted_bytes - 3, '?') + "...");
}

TEST_CASE("A text that is cut stays valid UTF-8, wherever the limit falls") {
  std::string euros;
  for (int i = 0; i < 300; ++i) euros += "\xE2\x82\xAC";
  CHECK(CutUtf8(euros, euros.size()) == euros);
  for (size_t limit = 510; limit <= 515; ++limit) {
    const std::string cut = CutUtf8(euros, limit);
    CHECK(IsValidUtf8(cut));
    CHECK(cut == euros.substr(0, limit / 3 * 3) + "...");
  }
  CHECK(CutUtf8("a\xF0\x9F\x98\x80", 4) == "a...");
  CHECK(CutUtf8("any", 0) == "...");
}

TEST_CASE("A truncated sequence is not text") {
  CHECK_FALSE(IsValidUtf8("a\xC3"));
  CHECK_FALSE(IsValidUtf8("\xE2\x82"));
  CHECK_FALSE(IsValidUtf8("\xF0\x9F\x98"));
  CHECK_FALSE(IsValidUtf8("\xE2\x82 a"));
}

}  // namespace
}  // namespace shoal
