#include "tasks/masking.h"

#include <map>
#include <vector>

#include "catch2/catch.hpp"

namespace shoal::tasks {
namespace {

using Ids = std::vector<int32_t>;

constexpr int32_t kMask = 4, kVocabulary = 100;

// Words of three tokens, 50 to 99, between two tokens that are never hidden.
struct Example {
  explicit Example(int words) {
    Add(2, -1);
    for (int i = 0; i < 3 * words; ++i) Add(50 + i % 50, i / 3);
    Add(3, -1);
  }
  void Add(int32_t token, int32_t word) {
    tokens.push_back(token);
    targets.push_back(word);
  }
  Ids tokens, targets;
};

Example Hidden(const Masking& masking, uint64_t number, int words = 1000) {
  Example example(words);
  HideTokens(masking, number, absl::MakeSpan(example.tokens), absl::MakeSpan(example.targets));
  return example;
}

Masking WithKey(uint64_t key, bool whole_words = false) {
  return {0.15, whole_words, kMask, kVocabulary, key};
}

TEST_CASE("About as many tokens are hidden as the rate says, and in the three ways of BERT") {
  const bool whole_words = GENERATE(false, true);
  const Example before(1000);
  double hidden = 0, masked = 0, same = 0;
  for (uint64_t number = 0; number < 20; ++number) {
    const Example after = Hidden(WithKey(7, whole_words), number);
    CHECK(after.targets.front() == -1);
    CHECK(after.tokens.front() == 2);
    for (size_t i = 0; i < after.tokens.size(); ++i) {
      if (after.targets[i] < 0) {
        CHECK(after.tokens[i] == before.tokens[i]);
        continue;
      }
      CHECK(after.targets[i] == before.tokens[i]);
      ++hidden;
      masked += after.tokens[i] == kMask;
      same += after.tokens[i] == before.tokens[i];
    }
  }
  CHECK(hidden / 60'000 == Approx(0.15).margin(0.006));
  CHECK(masked / hidden == Approx(0.8 + 0.1 / kVocabulary).margin(0.015));
  CHECK(same / hidden == Approx(0.1 + 0.1 / kVocabulary).margin(0.015));
}

TEST_CASE("A whole word is hidden or none of it") {
  const Example after = Hidden(WithKey(7, /*whole_words=*/true), 0);
  for (size_t i = 1; i + 1 < after.targets.size(); i += 3) {
    CHECK((after.targets[i] < 0) == (after.targets[i + 1] < 0));
    CHECK((after.targets[i] < 0) == (after.targets[i + 2] < 0));
  }
  const Example tokens = Hidden(WithKey(7), 0);
  int parts = 0;
  for (size_t i = 1; i + 1 < tokens.targets.size(); i += 3)
    parts += (tokens.targets[i] < 0) != (tokens.targets[i + 1] < 0);
  CHECK(parts > 100);
}

TEST_CASE("What is hidden depends on key and example alone") {
  CHECK(Hidden(WithKey(7), 3).tokens == Hidden(WithKey(7), 3).tokens);
  CHECK(Hidden(WithKey(7), 3).targets != Hidden(WithKey(8), 3).targets);
  CHECK(Hidden(WithKey(7), 3).targets != Hidden(WithKey(7), 4).targets);
}

TEST_CASE("At a rate of 1 all tokens of words are hidden, at 0 none is") {
  Masking masking = WithKey(1);
  masking.rate = 1;
  const Example all = Hidden(masking, 0, 5);
  CHECK(all.targets == Ids{-1, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 62, 63, 64, -1});
  masking.rate = 0;
  CHECK(Hidden(masking, 0, 5).targets == Ids(17, -1));
}

}  // namespace
}  // namespace shoal::tasks
