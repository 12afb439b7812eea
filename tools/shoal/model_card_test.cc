#include "tools/shoal/model_card.h"

#include <string>

#include "catch2/catch.hpp"
#include "common/job/job_spec.h"
#include "common/job/job_yaml.h"

namespace shoal::tools {
namespace {

using Catch::Matchers::Contains;

Job Trained() {
  Job job;
  JobSpec& spec = *job.mutable_spec();
  spec.set_name("mine");
  spec.set_task(TASK_TEXT_CLASSIFICATION);
  spec.set_seed(7);
  spec.mutable_data()->add_files("/folder-of-somebody/data.tsv");
  spec.mutable_data()->add_text("text");
  spec.mutable_data()->set_label("label");
  spec.mutable_train()->set_epochs(2);
  spec.mutable_optimizer()->set_learning_rate(1e-3);
  CompleteJob(&spec);
  JobPlan& plan = *job.mutable_plan();
  plan.set_rounds(20);
  plan.set_train_examples(90);
  FileDigest& file = *plan.add_files();
  file.set_path("/folder-of-somebody/data.tsv");
  file.set_sha256("0123abcd");
  file.set_bytes(17);
  EvaluationRecord& test = *job.add_evaluations();
  test.set_set(EVALUATION_SET_TEST);
  test.set_version(20);
  for (int cell : {3, 1, 0, 4}) test.mutable_statistics()->add_confusion(cell);
  test.mutable_statistics()->set_examples(8);
  job.mutable_result()->set_version(20);
  job.mutable_result()->set_parameters_sha256("feedbeef");
  return job;
}

TEST_CASE("A card says what a model was made from, how good it is, and how to make it again") {
  const std::string card = ModelCard(Trained(), 20);
  CHECK_THAT(card, Contains("# mine\ntext-classification, trained by Shoal ") &&
                       Contains(": version 20 of 20 rounds.") && Contains("`feedbeef`") &&
                       Contains("| test | accuracy | 0.875 |") && Contains("90 training, ") &&
                       Contains("| `data.tsv` | 17 | `0123abcd` |") && !Contains("somebody"));
}

TEST_CASE("The job in a card is one that can be read") {
  const Job job = Trained();
  const std::string card = ModelCard(job, 20);
  const size_t begin = card.find("```yaml\n") + 8, end = card.find("```", begin);
  JobText text;
  text.name = "card";
  text.folder = "/elsewhere";
  text.yaml = card.substr(begin, end - begin);
  const auto read = ParseJob(text, {});
  INFO(read.status());
  REQUIRE(read.ok());
  CHECK(read->seed() == 7);
  CHECK(read->data().files(0) == "/elsewhere/data.tsv");
}

TEST_CASE("Figures of another version are not shown") {
  const std::string card = ModelCard(Trained(), 10);
  CHECK_THAT(card, !Contains("accuracy |") && !Contains("feedbeef") && Contains("version 10 of 20 rounds"));
}

}  // namespace
}  // namespace shoal::tools
