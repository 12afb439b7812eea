#include "common/job/data_files.h"

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "catch2/catch.hpp"
#include "common/job/job_rules.h"
#include "common/job/job_spec.h"

namespace shoal {
namespace {

// A job that needs nothing but files, and with most formats columns.
JobSpec JobOf(TaskType task, const std::vector<std::string>& files) {
  JobSpec job;
  job.set_name("files");
  job.set_task(task);
  for (const std::string& file : files) job.mutable_data()->add_files(file);
  job.mutable_train()->set_epochs(1);
  job.mutable_optimizer()->set_learning_rate(0.001);
  return job;
}

JobSpec ClassificationOf(const std::vector<std::string>& files) {
  JobSpec job = JobOf(TASK_TEXT_CLASSIFICATION, files);
  job.mutable_data()->add_text("text");
  job.mutable_data()->set_label("label");
  return job;
}

std::string ProblemOf(JobSpec job) {
  CompleteJob(&job);
  return std::string(ValidateJob(job).message());
}

// The format of a file; "" when it is not inferred.
std::string FormatOf(TaskType task, const std::string& file) {
  JobSpec job = JobOf(task, {file});
  CompleteJob(&job);
  if (!job.data().has_format()) return "";
  return WordOf(DataFormat_descriptor()->FindValueByNumber(job.data().format()));
}

TEST_CASE("A file with the extension of a format that the task does not take is not read as another one") {
  CHECK_THAT(ProblemOf(JobOf(TASK_CAUSAL_LANGUAGE_MODELLING, {"a.txt", "b.tsv"})),
             Catch::Contains("'b.tsv' is tsv and 'a.txt' is text"));
  CHECK(FormatOf(TASK_CAUSAL_LANGUAGE_MODELLING, "b.tsv").empty());
  CHECK_THAT(ProblemOf(JobOf(TASK_CAUSAL_LANGUAGE_MODELLING, {"b.tsv"})),
             Catch::Contains("can't be inferred from the extension of 'b.tsv'; expected text"));
}

TEST_CASE("A language model's texts may be those of a JSON Lines file, without labels") {
  for (TaskType task : {TASK_CAUSAL_LANGUAGE_MODELLING, TASK_MASKED_LANGUAGE_MODELLING}) {
    JobSpec job = JobOf(task, {"a.jsonl"});
    CHECK_THAT(ProblemOf(job), Catch::Contains("data.text: is missing"));
    job.mutable_data()->add_text("body");
    CHECK(ProblemOf(job) == "");
    job.mutable_data()->set_label("title");
    CHECK_THAT(ProblemOf(job), Catch::Contains("data.label: has no effect with task"));
  }
}

TEST_CASE("Questions in the JSON of SQuAD need no columns") {
  JobSpec job = JobOf(TASK_QUESTION_ANSWERING, {"dev.json"});
  CHECK(ProblemOf(job) == "");
  job.mutable_data()->add_pair("context");
  CHECK_THAT(ProblemOf(job), Catch::Contains("data.pair: has no effect with format squad"));
}

TEST_CASE("Every format but lines has extensions, and no task has one of them in two formats") {
  const auto* tasks = TaskType_descriptor();
  for (int i = 0; i < tasks->value_count(); ++i) {
    std::set<std::string> seen;
    for (const int format : RuleOf(static_cast<TaskType>(tasks->value(i)->number())).formats()) {
      const auto& extensions = RuleOf(static_cast<DataFormat>(format)).extensions();
      CHECK(extensions.empty() == (format == DATA_FORMAT_LINES));
      for (const std::string& extension : extensions) {
        INFO(tasks->value(i)->name() << " " << extension);
        CHECK(extension.size() > 1);
        CHECK(extension[0] == '.');
        CHECK(extension == absl::AsciiStrToLower(extension));
        CHECK(seen.insert(extension).second);
      }
    }
  }
}

TEST_CASE("The extension of a file says which of its task's formats it has") {
  CHECK(FormatOf(TASK_TOKEN_CLASSIFICATION, "wikigold.conll.txt") == "conll");
  CHECK(FormatOf(TASK_TOKEN_CLASSIFICATION, "dir/TRAIN.IOB2") == "conll");
  CHECK(FormatOf(TASK_TOKEN_CLASSIFICATION, "train.jsonl") == "jsonl");
  CHECK(FormatOf(TASK_TOKEN_CLASSIFICATION, "notes.txt") == "");
  CHECK(FormatOf(TASK_CAUSAL_LANGUAGE_MODELLING, "notes.txt") == "text");
  CHECK(FormatOf(TASK_CAUSAL_LANGUAGE_MODELLING, "wikigold.conll.txt") == "text");
  CHECK(FormatOf(TASK_TEXT_CLASSIFICATION, "a.csv") == "csv");
  CHECK(FormatOf(TASK_TEXT_CLASSIFICATION, "a.conll") == "");
  CHECK(FormatOf(static_cast<TaskType>(77), "a.tsv") == "");
}

TEST_CASE("Columns without names need not be chosen, and others must be") {
  JobSpec job = JobOf(TASK_TOKEN_CLASSIFICATION, {"train.conll"});
  CompleteJob(&job);
  CHECK(ValidateJob(job).message() == "");
  REQUIRE(job.data().text_size() == 1);
  CHECK(job.data().text(0) == "1");
  CHECK(job.data().label() == "-1");
  JobSpec chosen = JobOf(TASK_TOKEN_CLASSIFICATION, {"train.conll"});
  chosen.mutable_data()->add_text("2");
  chosen.mutable_data()->set_label("4");
  CompleteJob(&chosen);
  REQUIRE(chosen.data().text_size() == 1);
  CHECK(chosen.data().text(0) == "2");
  CHECK(chosen.data().label() == "4");
  CHECK_THAT(ProblemOf(JobOf(TASK_TOKEN_CLASSIFICATION, {"train.jsonl"})),
             Catch::Matchers::StartsWith("data.text: is missing"));
}

TEST_CASE("A file of no known format has the format of the first file") {
  JobSpec job = ClassificationOf({"a.tsv", "b.dat"});
  CompleteJob(&job);
  CHECK(ValidateJob(job).message() == "");
  CHECK(job.data().format() == DATA_FORMAT_TSV);
}

TEST_CASE("A job whose first file has no format of the task must set it") {
  CHECK(ProblemOf(ClassificationOf({"a.dat", "b.tsv"})) ==
        "data.format: is missing and can't be inferred from the extension of 'a.dat'; expected tsv, csv, "
        "jsonl or lines with task text-classification");
  CHECK(ProblemOf(JobOf(TASK_CAUSAL_LANGUAGE_MODELLING, {"a.md"})) ==
        "data.format: is missing and can't be inferred from the extension of 'a.md'; expected text or jsonl "
        "with "
        "task causal-language-modelling");
  CHECK(ProblemOf(JobOf(TASK_TOKEN_CLASSIFICATION, {"train.txt"})) ==
        "data.format: is missing and can't be inferred from the extension of 'train.txt'; expected conll or "
        "jsonl with task token-classification");
}

TEST_CASE("A job without a format misses the columns that each format of its task needs") {
  const std::string problems = ProblemOf(JobOf(TASK_TEXT_REGRESSION, {"a.dat"}));
  for (const char* field : {"data.text: is missing", "data.label: is missing", "data.format: is missing"})
    CHECK_THAT(problems, Catch::Matchers::Contains(field));
}

TEST_CASE("A job with files of two formats must say which it is") {
  JobSpec mixed = ClassificationOf({"a.tsv", "b.dat", "b.jsonl"});
  CHECK(ProblemOf(mixed) ==
        "data.files[2]: by their extensions 'b.jsonl' is jsonl and 'a.tsv' is tsv; all files of a job have "
        "one format: set data.format");
  mixed.mutable_data()->set_format(DATA_FORMAT_JSONL);
  CHECK(ProblemOf(mixed) == "");
  CHECK(
      ProblemOf(JobOf(TASK_TOKEN_CLASSIFICATION, {"a.conll", "b.jsonl"})) ==
      "data.files[1]: by their extensions 'b.jsonl' is jsonl and 'a.conll' is conll; all files of a job have "
      "one format: set data.format");
  JobSpec parts = ClassificationOf({});
  parts.mutable_data()->add_train_files("a.jsonl");
  parts.mutable_data()->add_test_files("t.csv");
  CHECK(ProblemOf(parts) ==
        "data.test_files[0]: by their extensions 't.csv' is csv and 'a.jsonl' is jsonl; all files of a job "
        "have one format: set data.format");
}

}  // namespace
}  // namespace shoal
