#include "common/job/plan_text.h"

#include <functional>
#include <vector>

#include "catch2/catch.hpp"
#include "common/job/job_print.h"

namespace shoal {
namespace {

JobPlan Plan() {
  JobPlan plan;
  ParameterInfo& parameter = *plan.add_parameters();
  parameter.set_name("embedding");
  parameter.add_shape(4);
  parameter.add_shape(2);
  parameter.mutable_init()->set_kind(Initializer::NORMAL);
  parameter.mutable_init()->set_stddev(0.02f);
  plan.add_group_sizes(8);
  plan.set_rounds(20);
  plan.set_rounds_per_epoch(10);
  plan.add_labels("ab");
  plan.add_labels("c");
  plan.set_train_examples(100);
  FileDigest& file = *plan.add_files();
  file.set_path("/here/data.tsv");
  file.set_sha256("0123");
  Artifact& artifact = *plan.add_artifacts();
  artifact.set_name("dataset");
  artifact.set_sha256("4567");
  plan.set_numerics("f32");
  return plan;
}

TEST_CASE("The text of a plan depends on everything that determines bits, but not on where the files are") {
  const std::string text = PlanText(Plan());
  JobPlan moved = Plan();
  moved.mutable_files(0)->set_path("/there/data.tsv");
  CHECK(PlanText(moved) == text);
  const std::vector<std::function<void(JobPlan*)>> changes = {
      [](JobPlan* plan) { plan->mutable_files(0)->set_sha256("9"); },
      [](JobPlan* plan) { plan->mutable_artifacts(0)->set_sha256("9"); },
      [](JobPlan* plan) { plan->add_artifacts()->set_name("weights"); },
      [](JobPlan* plan) { *plan->mutable_labels(0) = "a", *plan->mutable_labels(1) = "bc"; },
      [](JobPlan* plan) { plan->mutable_labels()->SwapElements(0, 1); },
      [](JobPlan* plan) { plan->mutable_parameters(0)->mutable_init()->set_stddev(0.03f); },
      [](JobPlan* plan) { plan->mutable_parameters(0)->set_decay(true); },
      [](JobPlan* plan) { plan->mutable_parameters(0)->mutable_shape()->SwapElements(0, 1); },
      [](JobPlan* plan) { plan->set_group_sizes(0, 4), plan->add_group_sizes(4); },
      [](JobPlan* plan) { plan->set_train_examples(99); },
      [](JobPlan* plan) { plan->mutable_parameters(0)->set_rate_factor(0.5); },
      [](JobPlan* plan) { plan->add_class_weights(2); },
      [](JobPlan* plan) { plan->set_rounds(21); },
      [](JobPlan* plan) { plan->set_rounds_per_epoch(11); },
      [](JobPlan* plan) { plan->set_max_length(3); },
      [](JobPlan* plan) { plan->set_model_config("{}"); },
      [](JobPlan* plan) { plan->set_numerics("avx512-bf16"); },
  };
  for (size_t i = 0; i < changes.size(); ++i) {
    INFO("change " << i);
    JobPlan plan = Plan();
    changes[i](&plan);
    CHECK(PlanText(plan) != text);
  }
}

TEST_CASE("Plans of different data are told apart by the file that differs") {
  JobPlan changed = Plan();
  changed.mutable_files(0)->set_sha256("89ab");
  JobPlan longer = Plan();
  longer.set_rounds(longer.rounds() + 5);
  CHECK(DifferOnlyInLength(PlanText(longer), PlanText(Plan())));
  CHECK_FALSE(DifferOnlyInLength(PlanText(changed), PlanText(Plan())));
  CHECK(JobDifferences(PlanText(changed), PlanText(Plan())) ==
        "data.file 1 data.tsv: SHA-256 89ab here, SHA-256 0123 there");
}

}  // namespace
}  // namespace shoal
