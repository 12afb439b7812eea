#include "model/tokenizer/cut.h"

#include "catch2/catch.hpp"

namespace shoal::model {
namespace {

// <cls> `first` tokens <sep> `second` tokens <sep>, the second part of type 1.
Encoding Pair(uint32_t first, uint32_t second) {
  Encoding encoding;
  encoding.Append(900, 0, {}, TokenSource::kTemplate);
  for (uint32_t i = 0; i < first; ++i) encoding.Append(100 + i, 0, {i, i + 1}, TokenSource::kFirst);
  encoding.Append(901, 0, {}, TokenSource::kTemplate);
  for (uint32_t i = 0; i < second; ++i) encoding.Append(200 + i, 1, {i, i + 1}, TokenSource::kSecond);
  encoding.Append(902, 1, {}, TokenSource::kTemplate);
  return encoding;
}

// What is left of the two texts when `tokens` are: compared with tokenizers 0.23, enable_truncation(tokens).
void CheckLeft(uint32_t first, uint32_t second, size_t tokens, uint32_t left_first, uint32_t left_second) {
  Encoding cut = Pair(first, second);
  CutTo(tokens, &cut);
  const Encoding expected = Pair(left_first, left_second);
  CHECK(cut.ids == expected.ids);
  CHECK(cut.type_ids == expected.type_ids);
  CHECK(cut.offsets == expected.offsets);
  CHECK(cut.sources == expected.sources);
}

TEST_CASE("The longer text of a pair is cut first, then both") {
  CheckLeft(3, 4, 10, 3, 4);
  CheckLeft(3, 9, 10, 3, 4);
  CheckLeft(9, 3, 10, 4, 3);
  CheckLeft(9, 8, 10, 4, 3);
  CheckLeft(8, 9, 10, 3, 4);
  CheckLeft(8, 8, 10, 3, 4);
  CheckLeft(8, 8, 11, 4, 4);
  CheckLeft(0, 20, 11, 0, 8);
  CheckLeft(20, 0, 11, 8, 0);
  CheckLeft(5, 5, 3, 0, 0);
}

TEST_CASE("A single text is cut at its end, and a template that is too long as well") {
  Encoding one;
  one.Append(900, 0, {}, TokenSource::kTemplate);
  for (uint32_t i = 0; i < 5; ++i) one.Append(i, 0, {i, i + 1}, TokenSource::kFirst);
  one.Append(901, 0, {}, TokenSource::kTemplate);
  CutTo(4, &one);
  CHECK(one.ids == std::vector<uint32_t>{900, 0, 1, 901});
  Encoding pair = Pair(5, 5);
  CutTo(2, &pair);
  CHECK(pair.ids == std::vector<uint32_t>{900, 901});
}

}  // namespace
}  // namespace shoal::model
