#include "tasks/answer_scores.h"

#include "catch2/catch.hpp"

namespace shoal::tasks {
namespace {

AnswerScores Score(const char* predicted, const std::vector<std::string>& answers,
                   AnswerMeasure measure = ANSWER_MEASURE_SQUAD_1) {
  return ScoreAnswer(predicted, answers, measure);
}

TEST_CASE("SQuAD's scores ignore letter case, punctuation, articles and spaces") {
  CHECK(Score("The  Denver\tBroncos.", {"denver broncos"}).exact);
  CHECK(Score("Levi's", {"levis"}).exact);
  CHECK(Score("a b", {"b"}).exact);
  CHECK(Score("the-a", {"thea"}).exact);             // without punctuation it is another word
  CHECK_FALSE(Score("the\u2013a", {"thea"}).exact);  // which the dash is not: two articles
  CHECK(Score("the\u2013b", {"\u2013b"}).exact);
  CHECK_FALSE(Score("theory", {"ory"}).exact);
  CHECK(Score("STRA\u00dfE \u0130", {"stra\u00dfe i\u0307"}).exact);
  CHECK(Score("\u039f\u0394\u039f\u03a3", {"\u03bf\u03b4\u03bf\u03c2"}).exact);  // a final sigma
  CHECK(Score("in\u00a01994", {"in 1994"}).exact);
}

TEST_CASE("F1 is that of the bags of words, and the best answer counts") {
  CHECK(Score("red red hat", {"red hat box"}).f1 == Approx(2.0 / 3));
  CHECK(Score("in Santa Clara", {"Levi's Stadium", "Santa Clara, California"}).f1 == Approx(2.0 / 3));
  CHECK(Score("Santa", {"Levi's"}).f1 == 0);
  // Exact match and F1 are each the best.
  CHECK(Score("b c", {"b", "b c"}).exact);
  CHECK(Score("b c", {"b", "b c"}).f1 == 1);
}

TEST_CASE("SQuAD 1.1 and 2.0 differ in answers of which nothing is left, and in questions without one") {
  CHECK(Score("The", {"a"}).exact);
  CHECK(Score("The", {"a"}).f1 == 0);
  CHECK(Score("The", {"a"}, ANSWER_MEASURE_SQUAD_2).f1 == 1);
  CHECK(Score("", {}, ANSWER_MEASURE_SQUAD_2).exact);
  CHECK(Score("", {}, ANSWER_MEASURE_SQUAD_2).f1 == 1);
  CHECK(Score("red", {}, ANSWER_MEASURE_SQUAD_2).f1 == 0);
  CHECK(Score("", {"red"}, ANSWER_MEASURE_SQUAD_2).f1 == 0);
  CHECK_FALSE(Score("", {}).exact);
}

TEST_CASE("CMRC's scores are of the longest common run of characters, without punctuation") {
  const auto score = [](const char* predicted, const std::vector<std::string>& answers) {
    return Score(predicted, answers, ANSWER_MEASURE_CMRC);
  };
  CHECK(score(" \u300a\u5317\u4eac\u300b", {"\u5317\u4eac"}).exact);
  CHECK(score("\u5317\u4eac\u5e02", {"\u5728\u5317\u4eac"}).f1 == Approx(2.0 / 3));
  CHECK(score("\u4eac\u5317", {"\u5317\u4eac"}).f1 == Approx(0.5));  // a run, not a bag
  CHECK(score("1998\u5e74", {"1998"}).f1 == Approx(2.0 / 3));
  CHECK(score("12,5%", {"12,5"}).f1 == Approx(2.0 / 3));
  CHECK(score("NBA", {"nba"}).exact);
  CHECK(score("\u3002", {"\u5317"}).f1 == 0);
  CHECK_FALSE(score("\u5317\u2026", {"\u5317"}).exact);         // an ellipsis is none of the marks
  CHECK_FALSE(score("\u5317 \u300d", {"\u5317\u3002"}).exact);  // spaces are removed first
  CHECK(score("", {}).exact);
  CHECK_FALSE(score("\u5317", {}).exact);
}

TEST_CASE("A text in Chinese has CMRC's measure") {
  CHECK(MeasureOf("\u8c01\u662fMilan\uff1f\u5728\u54ea\u91cc\u51fa\u751f", false) == ANSWER_MEASURE_CMRC);
  CHECK(MeasureOf("What does \u5143 mean?", false) == ANSWER_MEASURE_SQUAD_1);
  CHECK(MeasureOf("Who?", true) == ANSWER_MEASURE_SQUAD_2);
  CHECK(MeasureOf("", false) == ANSWER_MEASURE_SQUAD_1);
}

}  // namespace
}  // namespace shoal::tasks
