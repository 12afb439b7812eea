#include "tasks/data/semeval.h"

#include <string>
#include <vector>

#include "catch2/catch.hpp"
#include "common/storage/test_dir.h"
#include "tasks/data/reader.h"
#include "tasks/registry.h"

namespace shoal::tasks {
namespace {

using Catch::Matchers::Contains;

absl::StatusOr<ExampleSet> Read(const std::string& text) {
  const TestDir dir;
  REQUIRE(PosixEnv()->WriteFileAtomic(dir / "train.txt", text).ok());
  JobSpec job;
  job.set_task(TASK_RELATION_EXTRACTION);
  job.mutable_data()->add_files(dir / "train.txt");
  job.mutable_data()->set_format(DATA_FORMAT_SEMEVAL);
  return ReadExamples(PosixEnv(), job.data().files(), job.data(), TaskOf(job));
}

std::string ErrorOf(const std::string& text) {
  const auto set = Read(text);
  REQUIRE(absl::IsInvalidArgument(set.status()));
  return std::string(set.status().message());
}

TEST_CASE("Sentences and their relations are read, whatever ends the lines") {
  for (const std::string end : {"\n", "\r\n"}) {
    const auto set =
        Read("1\t\"An <e1>ear</e1> of an <e2>\"ox\"</e2>.\"" + end + "Whole(e2,e1)" + end + "Comment: x" +
             end + "more" + end + end + end + "7\t<e1>a</e1> <e2>b</e2>" + end + " Other ");
    INFO(set.status());
    REQUIRE(set.ok());
    REQUIRE(set->examples.size() == 2);
    CHECK(set->examples[0].text == "An <e1>ear</e1> of an <e2>\"ox\"</e2>.");
    CHECK(set->examples[0].labels == std::vector<std::string>{"Whole(e2,e1)"});
    CHECK(set->examples[0].id == "1");
    CHECK_THAT(set->Origin(set->examples[1]), Contains("train.txt:7"));
    CHECK(set->examples[1].labels == std::vector<std::string>{"Other"});
  }
}

TEST_CASE("What is wrong with a block is told with its line") {
  const std::string good = "1\t\"<e1>a</e1> <e2>b</e2>\"\nOther\n\n";
  CHECK_THAT(ErrorOf(good + "2 no tab\nOther\n"),
             Contains("train.txt:4: expected a number, a tab and a sentence"));
  CHECK_THAT(ErrorOf(good + "2\t\"\"\nOther\n"), Contains("train.txt:4: the sentence is empty"));
  CHECK_THAT(ErrorOf("2\t\"<e1>a</e1> <e2>b</e2>\"\n\n" + good),
             Contains("train.txt:1: expected the relation on the line"));
  CHECK_THAT(ErrorOf(good + "2\t\"a b\"\nOther\n"),
             Contains("train.txt:4: expected one part of the text between <e1>"));
  const std::string tight = "1\t\"<e1>a</e1> <e2>b</e2>\"\nOther\n";
  CHECK_THAT(ErrorOf(tight + tight),
             Contains("train.txt:3: expected an empty line before the next sentence"));
  CHECK_THAT(ErrorOf("\n \n"), Contains("has no examples"));
}

}  // namespace
}  // namespace shoal::tasks
