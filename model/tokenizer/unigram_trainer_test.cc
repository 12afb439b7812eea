#include "model/tokenizer/unigram_trainer.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "absl/strings/ascii.h"
#include "catch2/catch.hpp"
#include "model/tokenizer/seed_pieces.h"
#include "model/tokenizer/test_corpus.h"
#include "model/tokenizer/tokenizer.h"
#include "model/tokenizer/training_words.h"
#include "model/tokenizer/unigram_em.h"

namespace shoal::model {
namespace {

UnigramTrainerOptions Size(uint32_t vocab_size) {
  UnigramTrainerOptions options;
  options.vocab_size = vocab_size;
  return options;
}

bool Contains(const std::vector<ScoredPiece>& pieces, absl::string_view text) {
  for (const ScoredPiece& piece : pieces) {
    if (piece.text == text) return true;
  }
  return false;
}

TEST_CASE("The vocabulary has exactly the pieces asked for") {
  const auto model = TrainUnigram(Views(TestCorpus()), Size(100));
  REQUIRE(model.ok());
  const auto tokenizer = LoadTokenizer(*model);
  REQUIRE(tokenizer.ok());
  CHECK((*tokenizer)->vocab_size() == 100);
}

TEST_CASE("In lower case no piece has a capital letter, and texts are read in lower case") {
  UnigramTrainerOptions options = Size(90);
  options.letter_case = LetterCase::kLower;
  std::vector<std::string> upper = TestCorpus();
  for (std::string& line : upper) absl::AsciiStrToUpper(&line);
  const std::string model = TrainUnigram(Views(upper), options).value();
  CHECK(model == TrainUnigram(Views(TestCorpus()), options).value());
  const auto tokenizer = LoadTokenizer(model).value();
  for (const std::string& line : upper) {
    CHECK(tokenizer->Decode(tokenizer->Encode(line, 1000)) == absl::AsciiStrToLower(line));
  }
}

TEST_CASE("The same lines in another order give the same bytes") {
  std::vector<std::string> lines = TestCorpus();
  const auto model = TrainUnigram(Views(lines), Size(90));
  std::reverse(lines.begin(), lines.end());
  REQUIRE(model.ok());
  CHECK(*model == TrainUnigram(Views(lines), Size(90)).value());
}

TEST_CASE("A text too small for the vocabulary is refused with the size it can have") {
  const auto model = TrainUnigram({"a few words are not enough"}, Size(8000));
  REQUIRE(model.status().code() == absl::StatusCode::kInvalidArgument);
  const std::string message(model.status().message());
  const size_t at = message.find("at most ");
  REQUIRE(at != std::string::npos);
  const auto possible = static_cast<uint32_t>(std::stoul(message.substr(at + 8)));
  CHECK(TrainUnigram({"a few words are not enough"}, Size(possible)).ok());
}

TEST_CASE("A text of which one line leaves most characters without a piece is refused with that reason") {
  std::vector<std::string> lines = TestCorpus();
  std::string& last = lines.emplace_back();
  for (int i = 0; i < 1'000'000; ++i) last += " word";
  const auto model = TrainUnigram(Views(lines), Size(8000));
  CHECK_THAT(std::string(model.status().message()),
             Catch::Contains("of the text's characters have no piece") && Catch::Contains("99.95 % of it"));
}

TEST_CASE("A vocabulary too small for the characters is refused with the size it needs") {
  const auto model = TrainUnigram(Views(TestCorpus()), Size(16));
  REQUIRE(model.status().code() == absl::StatusCode::kInvalidArgument);
  const std::string message(model.status().message());
  const size_t at = message.find("at least ");
  REQUIRE(at != std::string::npos);
  CHECK(TrainUnigram(Views(TestCorpus()), Size(static_cast<uint32_t>(std::stoul(message.substr(at + 9)))))
            .ok());
}

TEST_CASE("No text at all is refused") {
  CHECK(TrainUnigram({}, Size(100)).status().code() == absl::StatusCode::kInvalidArgument);
}

TEST_CASE("Rare characters past the coverage cut words and get no piece") {
  std::vector<absl::string_view> lines(100, "abc");
  lines.push_back("ab\u00FFc");
  const TrainingWords words = CountWords(lines, LetterCase::kKept, 0.99, "z");
  CHECK(words.characters == std::vector<std::string>{"a", "b", "c", "z", "\u2581"});
  REQUIRE(words.words.size() == 3);
  CHECK(words.words[0].text == "c");
  CHECK(words.words[1].text == "\u2581ab");
  CHECK(words.words[2].count == 100);
}

TEST_CASE("Words without end are cut") {
  const std::string endless(100, 'x');
  for (const TrainingWord& word : CountWords({endless}, LetterCase::kKept, 1, "").words)
    CHECK(word.text.size() <= kMaxWordCharacters + 2);
}

TEST_CASE("Seeds are the substrings that occur twice, without mixing letters, digits and punctuation") {
  const TrainingWords words = CountWords({"foo-12 foo-12 bar"}, LetterCase::kKept, 1, "");
  const std::vector<ScoredPiece> seeds = SeedPieces(words, 1000);
  for (absl::string_view piece : {"\u2581foo", "foo", "oo", "-12", "12", "b", "r"}) {
    CAPTURE(piece);
    CHECK(Contains(seeds, piece));
  }
  for (absl::string_view piece : {"ba", "o-", "foo-"}) {
    CAPTURE(piece);
    CHECK_FALSE(Contains(seeds, piece));
  }
}

TEST_CASE("Seeds are limited to those that cover most text") {
  const TrainingWords words = CountWords({"aaaa aaaa aaaa bb bb"}, LetterCase::kKept, 1, "");
  const std::vector<ScoredPiece> seeds = SeedPieces(words, 1);
  REQUIRE(seeds.size() == words.characters.size() + 1);
  CHECK(Contains(seeds, "aa"));  // 3 words × 3 places × 2 characters
}

TEST_CASE("A step of expectation maximisation gives the closed form for one word") {
  // "ab" as a|b or ab: p(a)p(b) = 1/8, p(ab) = 1/8, so the expected counts of a, b and ab are equal.
  const std::vector<TrainingWord> words = {{"ab", 6}};
  UnigramEm em(words, {{"a", std::log(0.5)}, {"ab", std::log(0.125)}, {"b", std::log(0.25)}});
  em.Step();
  REQUIRE(em.pieces().size() == 3);
  CHECK(em.pieces()[0].score == Approx(em.pieces()[1].score));
  CHECK(em.pieces()[1].score == Approx(em.pieces()[2].score));
}

TEST_CASE("Pruning keeps all characters and the pieces that matter most") {
  const std::vector<TrainingWord> words = {{"abab", 100}, {"cdcd", 1}};
  UnigramEm em(words, {{"a", -3}, {"ab", -2}, {"b", -3}, {"c", -3}, {"cd", -2}, {"d", -3}});
  em.Prune(5);
  CHECK(Contains(em.pieces(), "ab"));
  CHECK_FALSE(Contains(em.pieces(), "cd"));
  CHECK(em.pieces().size() == 5);
}

}  // namespace
}  // namespace shoal::model
