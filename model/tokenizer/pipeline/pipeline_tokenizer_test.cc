#include "model/tokenizer/pipeline/pipeline_tokenizer.h"

#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "catch2/catch.hpp"
#include "model/tokenizer/pipeline/test_cases.h"

namespace shoal::model {
namespace {

using Ids = std::vector<uint32_t>;

// Words of the letters a and b, "<s>" before a text, and "<m>" with the space before it.
constexpr char kTokenizer[] = R"({
  "added_tokens": [{"id": 0, "content": "<s>", "special": true},
                   {"id": 9, "content": "<m>", "special": true, "lstrip": true}],
  "normalizer": {"type": "Lowercase"},
  "pre_tokenizer": {"type": "WhitespaceSplit"},
  "post_processor": {"type": "TemplateProcessing",
    "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
    "pair": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
             {"Sequence": {"id": "B", "type_id": 1}}],
    "special_tokens": {"<s>": {"id": "<s>", "ids": [0], "tokens": ["<s>"]}}},
  "model": {"type": "BPE", "unk_token": "?", "merges": [["a", "b"], ["a", "a"], ["aa", "aa"], ["ab", "ab"]],
            "vocab": {"<s>": 0, "?": 1, "a": 2, "b": 3, "ab": 4, "aa": 5, "aaaa": 6, "abab": 7, "\ufffd": 8}}})";

std::unique_ptr<PipelineTokenizer> Make() { return Ok(LoadTokenizerJson(kTokenizer)); }

TEST_CASE("Offsets are code points of the text, and of the pair for its tokens") {
  const auto tokenizer = Make();
  const Encoding encoding = tokenizer->EncodePair("\u00E9 AB", "b a");
  CHECK(encoding.ids == Ids{0, 1, 4, 3, 2});
  CHECK(encoding.offsets == std::vector<TextSpan>{{0, 0}, {0, 1}, {2, 4}, {0, 1}, {2, 3}});
  CHECK(encoding.type_ids == Ids{0, 0, 0, 1, 1});
  CHECK(encoding.sources == std::vector<TokenSource>{TokenSource::kTemplate, TokenSource::kFirst,
                                                     TokenSource::kFirst, TokenSource::kSecond,
                                                     TokenSource::kSecond});
}

TEST_CASE("Special tokens are added only when asked for, and an empty text has no others") {
  const auto tokenizer = Make();
  CHECK(tokenizer->Encode("").ids == Ids{0});
  CHECK(tokenizer->Encode("", false).ids.empty());
  CHECK(tokenizer->Encode("ab", false).ids == Ids{4});
  CHECK(tokenizer->EncodePair("", "", false).ids.empty());
}

TEST_CASE("An added token is found before the text is split, with the space before it") {
  const Encoding encoding = Make()->Encode("a <m>a", false);
  CHECK(encoding.ids == Ids{2, 9, 2});
  CHECK(encoding.offsets == std::vector<TextSpan>{{0, 1}, {1, 5}, {5, 6}});
}

TEST_CASE("Each ill-formed part of a text is one U+FFFD") {
  const auto tokenizer = Make();
  const Encoding encoding = tokenizer->Encode(
      "a\xE4\xBD\x80\xE4\xBD"
      "a\xFF\xED\xA0\x80",
      false);
  // A whole character (unknown), a cut one, a letter, a byte that never occurs, and the bytes of a surrogate.
  CHECK(encoding.ids == Ids{2, 1, 8, 2, 8, 8, 8, 8});
  CHECK(encoding.offsets.back() == TextSpan{7, 8});
}

TEST_CASE("Tokens and ids are looked up in both directions") {
  const auto tokenizer = Make();
  CHECK(tokenizer->vocab_size() == 10);
  CHECK(tokenizer->IdOf("<m>").value() == 9);
  CHECK(tokenizer->IdOf("aa").value() == 5);
  CHECK_FALSE(tokenizer->IdOf("aaa").has_value());
  REQUIRE(tokenizer->TokenOf(9) != nullptr);
  CHECK(*tokenizer->TokenOf(9) == "<m>");
  CHECK(tokenizer->TokenOf(10) == nullptr);
}

TEST_CASE("Decode leaves out unknown ids, and special tokens when asked to") {
  const auto tokenizer = Make();
  CHECK(tokenizer->Decode(Ids{0, 4, 77, 0xFFFFFFFF, 9, 2}) == "ab a");
  CHECK(tokenizer->Decode(Ids{0, 4, 9}, false) == "<s> ab <m>");
  CHECK(tokenizer->Decode(Ids{}).empty());
}

TEST_CASE("A word of a million letters is merged") {
  const Encoding encoding = Make()->Encode(std::string(1000000, 'a'), false);
  CHECK(encoding.ids == Ids(250000, 6));
  CHECK(encoding.offsets.back() == TextSpan{999996, 1000000});
}

TEST_CASE("Threads that share a tokenizer get the ids that one gets") {
  const auto tokenizer = Make();
  const std::string text = "ab aab abab <m> b\u00E9 aaaaaaa";
  const Encoding expected = tokenizer->Encode(text);
  std::vector<Encoding> results(4);
  std::vector<std::thread> threads;
  for (Encoding& result : results) threads.emplace_back([&] { result = tokenizer->Encode(text); });
  for (std::thread& thread : threads) thread.join();
  for (const Encoding& result : results) CHECK(result.ids == expected.ids);
}

}  // namespace
}  // namespace shoal::model
