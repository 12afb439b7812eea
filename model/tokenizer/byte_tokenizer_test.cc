#include "model/tokenizer/byte_tokenizer.h"

#include <set>
#include <string>

#include "catch2/catch.hpp"
#include "nlohmann/json.hpp"

namespace shoal::model {
namespace {

TEST_CASE("A text's bytes are its tokens, its end is one more") {
  const auto tokenizer = MakeByteTokenizer();
  CHECK(tokenizer->Encode("a\xc3\xa4", 100) == std::vector<uint32_t>{'a', 0xC3, 0xA4, 256});
  CHECK(tokenizer->Encode("abc", 3) == std::vector<uint32_t>{'a', 'b', 256});
  CHECK(tokenizer->Encode("", 3) == std::vector<uint32_t>{256});
  CHECK(tokenizer->Decode(tokenizer->Encode("a\xc3\xa4", 100)) == "a\xc3\xa4");
  CHECK(tokenizer->vocab_size() == 257);
}

TEST_CASE("It is loaded from its bytes") {
  const auto tokenizer = LoadTokenizer(MakeByteTokenizer()->bytes());
  REQUIRE(tokenizer.ok());
  CHECK((*tokenizer)->vocab_size() == 257);
  CHECK_FALSE(LoadTokenizer("shoal byte tokenizer 2\n").ok());
}

TEST_CASE("Hugging Face's vocabulary has GPT-2's characters in order of the bytes") {
  const auto files = MakeByteTokenizer()->ExportFiles(64);
  const auto vocabulary = nlohmann::json::parse(files.at(0).bytes)["model"]["vocab"];
  CHECK(vocabulary.size() == 257);
  std::set<int> ids;
  for (const auto& id : vocabulary) ids.insert(id.get<int>());
  CHECK(ids.size() == 257);
  CHECK(vocabulary["A"] == 'A');
  CHECK(vocabulary["\xc4\xa0"] == ' ');   // U+0120
  CHECK(vocabulary["\xc4\x8a"] == '\n');  // U+010A
  CHECK(vocabulary["\xc3\xbf"] == 255);
  CHECK(vocabulary["\xc5\x83"] == 173);  // U+0143, the last
}

}  // namespace
}  // namespace shoal::model
