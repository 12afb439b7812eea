#include "tasks/data/squad.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "catch2/catch.hpp"
#include "common/storage/test_dir.h"
#include "tasks/data/reader.h"
#include "tasks/registry.h"

namespace shoal::tasks {
namespace {

using Catch::Matchers::Contains;
using Catch::Matchers::EndsWith;

absl::StatusOr<ExampleSet> Read(const std::string& text) {
  const TestDir dir;
  REQUIRE(PosixEnv()->WriteFileAtomic(dir / "dev.json", text).ok());
  JobSpec job;
  job.set_task(TASK_QUESTION_ANSWERING);
  job.mutable_data()->add_files(dir / "dev.json");
  job.mutable_data()->set_format(DATA_FORMAT_SQUAD);
  return ReadExamples(PosixEnv(), job.data().files(), job.data(), TaskOf(job));
}

// One article with one paragraph.
std::string File(const std::string& context, const std::string& questions) {
  return absl::StrCat(R"({"version": "1.1", "data": [{"title": "T", "paragraphs": [{"context": ")", context,
                      R"(", "qas": [)", questions, "]}]}]}");
}

std::string Question(const std::string& id, const std::string& answers, const std::string& more = "") {
  return absl::StrCat(R"({"id": ")", id, R"(", "question": "Who?", "answers": [)", answers, "]", more, "}");
}

std::string ErrorOf(const std::string& text) {
  const auto examples = Read(text);
  REQUIRE(absl::IsInvalidArgument(examples.status()));
  return std::string(examples.status().message());
}

TEST_CASE("Questions, contexts, answers and titles are read") {
  const auto set = Read(File("Zo\u00eb saw Max. Zo\u00eb ran.",
                             absl::StrCat(Question("q1", R"({"text": "Zo\u00eb", "answer_start": 13},
                                                           {"text": "Max", "answer_start": 8})"),
                                          ", ", Question("q2", R"({"text": "ran", "answer_start": 0})"))));
  INFO(set.status());
  REQUIRE(set.ok());
  REQUIRE(set->examples.size() == 2);
  const Example& first = set->examples[0];
  CHECK(first.text == "Who?");
  CHECK(first.pair == "Zo\u00eb saw Max. Zo\u00eb ran.");
  CHECK(first.labels == std::vector<std::string>{"Zo\u00eb", "Max"});
  CHECK(first.answer == TextSpan{13, 16});  // characters
  CHECK(first.group == "T");
  CHECK(first.id == "q1");
  CHECK_FALSE(first.may_lack_answer);
  CHECK_THAT(set->Origin(first), EndsWith("dev.json: q1"));
  CHECK(set->examples[1].answer == TextSpan{17, 20});  // not where the file says
}

TEST_CASE("An answer that is not where the file says is the nearest one of that text") {
  const auto place = [](int start) {
    const auto set =
        Read(File("ab ab ab", Question("q", absl::StrCat(R"({"text": "ab", "answer_start": )", start, "}"))));
    REQUIRE(set.ok());
    return set->examples[0].answer->begin;
  };
  CHECK(place(0) == 0);
  CHECK(place(2) == 3);
  CHECK(place(5) == 6);
  CHECK(place(-7) == 0);
  CHECK(place(1000) == 6);
}

TEST_CASE("A question of SQuAD 2.0 may have no answer") {
  const auto set = Read(File("Max ran.", absl::StrCat(Question("q1", "", R"(, "is_impossible": true)"), ", ",
                                                      Question("q2", R"({"text": "Max", "answer_start": 0})",
                                                               R"(, "is_impossible": false)"))));
  REQUIRE(set.ok());
  CHECK(set->examples[0].labels.empty());
  CHECK_FALSE(set->examples[0].answer.has_value());
  CHECK(set->examples[0].may_lack_answer);
  CHECK(set->examples[1].may_lack_answer);
  CHECK(set->examples[1].answer == TextSpan{0, 3});
}

TEST_CASE("An id may be a number") {
  const auto set = Read(
      File("Max ran.", R"({"id": 7, "question": "Who?", "answers": [{"text": "Max", "answer_start": 0}]})"));
  REQUIRE(set.ok());
  CHECK(set->examples[0].id == "7");
}

TEST_CASE("An article without a title is a group by itself") {
  const std::string article = R"({"paragraphs": [{"context": "Max", "qas": [)";
  const auto set =
      Read(absl::StrCat(R"({"data": [)", article, Question("a", R"({"text": "Max", "answer_start": 0})"),
                        "]}]}, ", article, Question("b", R"({"text": "Max", "answer_start": 0})"), "]}]}]}"));
  REQUIRE(set.ok());
  CHECK(set->examples[0].group != set->examples[1].group);
}

TEST_CASE("What is wrong with a file is told with the place") {
  const std::string answer = R"({"text": "Max", "answer_start": 0})";
  CHECK_THAT(ErrorOf("{\"data\":\n [}"), Contains("dev.json:2: expected JSON ("));
  CHECK_THAT(ErrorOf("[]"), Contains("dev.json: expected the JSON of SQuAD: an object with \"data\""));
  CHECK_THAT(ErrorOf(R"({"data": [{"title": "T"}]})"),
             Contains("dev.json: article 1: there is no \"paragraphs\""));
  CHECK_THAT(ErrorOf(R"({"data": [{"paragraphs": [{"qas": []}]}]})"),
             Contains("article 1, paragraph 1: there is no \"context\""));
  CHECK_THAT(ErrorOf(R"({"data": 3})"), Contains("\"data\": expected array, got number"));
  CHECK_THAT(ErrorOf(R"({"data": [7]})"), Contains("article 1: there is no \"paragraphs\""));
  CHECK_THAT(ErrorOf(R"({"data": []})"), Contains("the file has no examples"));
  const auto of_question = [&](const std::string& question) { return ErrorOf(File("Max ran.", question)); };
  CHECK_THAT(of_question(R"({"question": "Who?", "answers": []})"),
             Contains("article 1, paragraph 1, question 1: there is no \"id\""));
  CHECK_THAT(of_question(Question("", answer)), Contains("\"id\" is empty"));
  CHECK_THAT(of_question(Question("q", "")),
             Contains("question 1 (q): has no answers; expected one, or \"is_impossible\": true"));
  CHECK_THAT(of_question(Question("q", R"({"text": "Zo", "answer_start": 0})")),
             Contains("(q): its answer is not in the context: Zo"));
  CHECK_THAT(of_question(Question("q", R"({"text": "Max"})")),
             Contains("(q), answer 1: there is no \"answer_start\""));
  CHECK_THAT(of_question(Question("q", R"({"text": "Max", "answer_start": 0.5})")),
             Contains("\"answer_start\": expected whole number, got number"));
  CHECK_THAT(of_question(Question("q", answer, R"(, "is_impossible": "no")")),
             Contains("\"is_impossible\": expected boolean, got string"));
  CHECK_THAT(of_question(absl::StrCat(Question("q", answer), ", ", Question("q", answer))),
             Contains("question 2 (q): another question has the same id"));
  CHECK_THAT(of_question(Question("q", R"({"text": " ", "answer_start": 3})")),
             Contains("\"text\" is empty"));
  CHECK_THAT(ErrorOf(R"({"data": [{"context": "Max", "question": "Who?"}]})"),
             Contains("article 1: is a question by itself"));
  CHECK_THAT(ErrorOf(File("", Question("q", answer))), Contains("\"context\" is empty"));
}

}  // namespace
}  // namespace shoal::tasks
