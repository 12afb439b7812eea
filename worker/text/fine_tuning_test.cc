// What a job trains of the model that it starts from, and with which loss.
#include <cmath>
#include <map>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "catch2/catch.hpp"
#include "common/job/job_spec.h"
#include "common/storage/file.h"
#include "kernels/cpu/cpu_device.h"
#include "kernels/test_numbers.h"
#include "model/lora.h"
#include "model/model_config.h"
#include "model/parameters.h"
#include "model/trainable_parameters.h"
#include "worker/text/class_weights.h"
#include "worker/text/derive_harness.h"
#include "worker/text/text_program.h"
#include "worker/text/trainable_choice.h"

namespace shoal::worker {
namespace {

using Catch::Matchers::Contains;

// With a model of two layers in the folder "model".
class TuningHarness : public DeriveHarness {
 public:
  TuningHarness() {
    JobSpec job = Job();
    job.mutable_model()->set_layers(2);
    Export(Derived(job), "model");
  }
};

std::vector<std::string> NamesOf(const JobPlan& plan) {
  std::vector<std::string> names;
  for (const ParameterInfo& info : plan.parameters()) names.push_back(info.name());
  return names;
}

model::Parameters ParametersOf(const JobPlan& plan) {
  const auto config = model::ParseModelConfig(plan.model_config());
  REQUIRE(config.ok());
  return model::MakeParameters(*config);
}

uint64_t Elements(const JobPlan& plan) {
  return std::accumulate(plan.group_sizes().begin(), plan.group_sizes().end(), uint64_t{0});
}

TEST_CASE("Of a job that freezes parts of its model only the others are in the plan") {
  const TuningHarness harness;
  JobSpec job = harness.JobFrom("model");
  const DerivedJob whole = harness.Derived(job);
  CHECK(whole.artifacts.count("frozen") == 0);
  job.mutable_train()->add_freeze("embeddings");
  job.mutable_train()->add_freeze("layer 0");
  const DerivedJob derived = harness.Derived(job);
  for (const std::string& name : NamesOf(derived.plan)) {
    CHECK_FALSE(absl::StrContains(name, "embeddings"));
    CHECK_FALSE(absl::StrContains(name, "layer.0."));
  }
  REQUIRE(derived.plan.group_sizes_size() == 4);
  CHECK(derived.plan.group_sizes(0) == 0);
  CHECK(derived.plan.group_sizes(1) == 0);
  CHECK(derived.plan.group_sizes(2) == whole.plan.group_sizes(2));
  CHECK(derived.plan.group_sizes(3) == whole.plan.group_sizes(3));
  CHECK(derived.artifacts.at("weights").size() == Elements(derived.plan) * sizeof(float));
  CHECK(derived.artifacts.at("frozen").size() ==
        (Elements(whole.plan) - Elements(derived.plan)) * sizeof(float));
  CHECK(derived.plan.parameters(0).init().kind() == Initializer::ARTIFACT);
  CHECK_THAT(derived.plan.notes(1), Contains("trained: ") && Contains("of 41 tensors"));

  job.mutable_train()->set_freeze(1, "layers 1-2");
  CHECK_THAT(std::string(harness.Derive(job).status().message()),
             Contains("train.freeze[1]: 'layers 1-2': the model has layers 0-1"));
  job.mutable_train()->set_freeze(1, "layers");
  CHECK(Elements(harness.Derived(job).plan) == whole.plan.group_sizes(3));
}

TEST_CASE("With frozen weights the biases are trained, and the head") {
  const TuningHarness harness;
  JobSpec job = harness.JobFrom("model");
  job.mutable_train()->add_freeze("weights");
  const DerivedJob derived = harness.Derived(job);
  int weights = 0;
  for (const std::string& name : NamesOf(derived.plan)) {
    const bool of_head = absl::StrContains(name, "pooler") || absl::StrContains(name, "classifier");
    CHECK((of_head || absl::EndsWith(name, ".bias")));
    weights += absl::EndsWith(name, ".weight") ? 1 : 0;
  }
  CHECK(weights == 2);
}

JobSpec LoraJob(const DeriveHarness& harness) {
  JobSpec job = harness.JobFrom("model");
  job.mutable_lora()->set_rank(2);
  job.mutable_lora()->add_targets("query");
  job.mutable_lora()->add_targets("output.dense");
  return job;
}

TEST_CASE("Of a job with low-rank additions these and the head are in the plan") {
  const TuningHarness harness;
  JobSpec job = LoraJob(harness);
  const DerivedJob derived = harness.Derived(job);
  int additions = 0;
  for (const ParameterInfo& info : derived.plan.parameters()) {
    const bool added = absl::StrContains(info.name(), "lora_");
    CHECK(
        (added || absl::StrContains(info.name(), "pooler") || absl::StrContains(info.name(), "classifier")));
    CHECK(info.added() == added);
    additions += added ? 1 : 0;
    // B starts at 0, so that the model starts as it is.
    if (absl::StrContains(info.name(), "lora_B")) CHECK(info.init().kind() == Initializer::ZEROS);
    if (absl::StrContains(info.name(), "lora_A")) CHECK(info.init().kind() == Initializer::NORMAL);
  }
  CHECK(additions == 2 * 3 * 2);  // of two layers query, attention.output.dense and output.dense: A and B
  CHECK_THAT(derived.plan.notes(0), Contains(": 41 of 41 tensors of the model"));
  const auto config = model::ParseModelConfig(derived.plan.model_config());
  REQUIRE(config.ok());
  const std::vector<float> theta(model::MakeParameters(*config).size);
  CHECK(model::WriteAdapter(PosixEnv(), harness.dir() / "adapter", *config, theta, "model").ok());
  const auto adapter = PosixEnv()->ReadFile(harness.dir() / "adapter/adapter_config.json");
  REQUIRE(adapter.ok());
  CHECK_THAT(*adapter, Contains("\"bert.pooler\"") && Contains("\"classifier\"") &&
                           Contains("\"bert.encoder.layer.1.attention.self.query\""));
  job.mutable_lora()->add_targets("keys");
  CHECK_THAT(std::string(harness.Derive(job).status().message()),
             Contains("no linear map 'keys'") && Contains("attention.self.key"));
}

TEST_CASE("Rates fall from the head down, and the head may have one of its own") {
  const TuningHarness harness;
  JobSpec job = harness.JobFrom("model");
  job.mutable_optimizer()->set_learning_rate(1e-3);
  CHECK_FALSE(harness.Derived(job).plan.parameters(0).has_rate_factor());
  job.mutable_optimizer()->set_layer_decay(0.5);
  job.mutable_optimizer()->set_head_learning_rate(3e-3);
  std::map<std::string, double> factors;
  const DerivedJob derived = harness.Derived(job);
  for (const ParameterInfo& info : derived.plan.parameters()) factors[info.name()] = info.rate_factor();
  CHECK(factors.at("classifier.weight") == Approx(3));
  CHECK(factors.at("bert.encoder.layer.1.output.dense.weight") == 0.5);
  CHECK(factors.at("bert.encoder.layer.0.output.dense.weight") == 0.25);
  CHECK(factors.at("bert.embeddings.word_embeddings.weight") == 0.125);
  job.mutable_optimizer()->set_layer_decay(1e-5);
  CHECK_THAT(std::string(harness.Derive(job).status().message()),
             Contains("optimizer.layer_decay: 1e-05 with 2 layers leaves"));
}

TEST_CASE("Weights of labels have mean 1 over the training examples") {
  const std::vector<int32_t> classes = {0, 0, 0, 1, -1, 0};
  LossSpec spec;
  CHECK(ClassWeights(spec, {"a", "b"}, classes)->empty());
  spec.add_class_weights("balanced");
  CHECK(*ClassWeights(spec, {"a", "b"}, classes) == std::vector<float>{0.625f, 2.5f});
  CHECK(ClassWeights(spec, {"a", "b", "c"}, classes)->at(2) == 0);
  spec.set_class_weights(0, "b=4");
  CHECK(*ClassWeights(spec, {"a", "b"}, classes) == std::vector<float>{0.625f, 2.5f});
  spec.set_class_weights(0, "c=4");
  CHECK_THAT(std::string(ClassWeights(spec, {"a", "b"}, classes).status().message()),
             Contains("loss.class_weights[0]: 'c' is not a label"));
  spec.set_class_weights(0, "a=0");
  spec.add_class_weights("b=0");
  CHECK_THAT(std::string(ClassWeights(spec, {"a", "b"}, classes).status().message()), Contains("weight 0"));
  spec.set_class_weights(1, "a=1");
  CHECK_THAT(std::string(ClassWeights(spec, {"a", "b"}, classes).status().message()),
             Contains("loss.class_weights[1]: 'a' is named twice"));
}

// The program of a derived job.
class Run {
 public:
  Run(DeriveHarness* harness, JobSpec spec) : derived(harness->Derived(spec)) {
    CompleteJob(&spec);
    std::map<std::string, std::string> files;
    for (const auto& [name, bytes] : derived.artifacts) {
      harness->Write(name, bytes);
      files[name] = harness->dir() / name;
    }
    auto device = kernels::CpuDevice::Create({});
    REQUIRE(device.ok());
    device_ = *std::move(device);
    auto program = TextProgramBuilder(PosixEnv(), device_.get()).Build(spec, derived.plan, files, NoProgress);
    INFO(program.status());
    REQUIRE(program.ok());
    program_ = *std::move(program);
  }

  // Of slot 0 in round 0.
  std::vector<float> Gradient(const std::vector<float>& theta) {
    std::vector<float> gradient(theta.size(), std::nanf(""));
    SlotTask task;
    task.theta = theta.data();
    task.gradient = gradient.data();
    task.wait_group = [](int) { return true; };
    task.set_stats = [this](const ContributionStats& stats) { loss = stats.loss(); };
    task.group_final = [](int) {};
    REQUIRE(program_->RunSlot(task).ok());
    return gradient;
  }

  const DerivedJob derived;
  double loss = 0;  // of the last gradient

 private:
  std::unique_ptr<kernels::Device> device_;
  std::unique_ptr<Program> program_;
};

TEST_CASE("A program with frozen parts computes the gradient of the others as without") {
  TuningHarness harness;
  JobSpec job = harness.JobFrom("model");
  job.mutable_model()->set_dropout(0);
  Run whole(&harness, job);
  const std::vector<float> theta = model::FloatsOf(whole.derived.artifacts.at("weights"));
  const std::vector<float> gradient = whole.Gradient(theta);
  job.mutable_train()->add_freeze("embeddings");
  job.mutable_train()->add_freeze("layers 0-0");
  Run part(&harness, job);
  const auto trainable =
      model::TrainableParameters::OfPlan(ParametersOf(whole.derived.plan), part.derived.plan);
  REQUIRE(trainable.ok());
  CHECK(part.Gradient(trainable->Trainable(theta)) == trainable->Trainable(gradient));
  CHECK(part.loss == whole.loss);
}

TEST_CASE("A program with low-rank additions starts as the model that they are for") {
  TuningHarness harness;
  JobSpec plain = harness.JobFrom("model"), job = LoraJob(harness);
  plain.mutable_model()->set_dropout(0);
  job.mutable_model()->set_dropout(0);
  Run whole(&harness, plain), run(&harness, job);
  whole.Gradient(model::FloatsOf(whole.derived.artifacts.at("weights")));
  // A with any values, B 0.
  std::vector<float> theta = model::FloatsOf(run.derived.artifacts.at("weights"));
  for (const ParameterInfo& info : run.derived.plan.parameters()) {
    if (!absl::StrContains(info.name(), "lora_A")) continue;
    std::fill_n(theta.begin() + static_cast<int64_t>(info.offset()), info.shape(0) * info.shape(1), 0.5f);
  }
  const std::vector<float> gradient = run.Gradient(theta);
  CHECK(run.loss == Approx(whole.loss).epsilon(1e-6));
  for (const ParameterInfo& info : run.derived.plan.parameters()) {
    if (!absl::StrContains(info.name(), "lora_")) continue;
    double squares = 0;
    for (uint64_t i = 0; i < info.shape(0) * info.shape(1); ++i)
      squares += std::pow(gradient[info.offset() + i], 2);
    CHECK((squares > 0) == absl::StrContains(info.name(), "lora_B"));  // as B is 0, A has none yet
  }
}

TEST_CASE("A job with adapters trains them and the head, and starts as the model that they are for") {
  TuningHarness harness;
  JobSpec plain = harness.JobFrom("model"), job = plain;
  plain.mutable_model()->set_dropout(0);
  job.mutable_model()->set_dropout(0);
  job.mutable_adapters()->set_size(4);
  for (AdapterPlacement placement : {ADAPTER_PLACEMENT_BOTH, ADAPTER_PLACEMENT_FEED_FORWARD}) {
    job.mutable_adapters()->set_placement(placement);
    Run whole(&harness, plain), run(&harness, job);
    int adapters = 0;
    for (const ParameterInfo& info : run.derived.plan.parameters()) {
      adapters += absl::StrContains(info.name(), ".adapter.down.weight") ? 1 : 0;
      CHECK((absl::StrContains(info.name(), ".adapter.") || absl::StrContains(info.name(), "classifier") ||
             absl::StrContains(info.name(), "pooler")));
    }
    CHECK(adapters == (placement == ADAPTER_PLACEMENT_BOTH ? 4 : 2));
    std::vector<float> theta = model::FloatsOf(run.derived.artifacts.at("weights"));
    for (const ParameterInfo& info : run.derived.plan.parameters()) {
      if (!absl::StrContains(info.name(), "adapter.down.weight")) continue;
      std::fill_n(theta.begin() + static_cast<int64_t>(info.offset()), info.shape(0) * info.shape(1), 0.5f);
    }
    whole.Gradient(model::FloatsOf(whole.derived.artifacts.at("weights")));
    run.Gradient(theta);
    CHECK(run.loss == Approx(whole.loss).epsilon(1e-5));
  }
}

TEST_CASE("Adversarial training computes the examples also where their loss is higher") {
  TuningHarness harness;
  JobSpec plain = harness.JobFrom("model");
  plain.mutable_model()->set_dropout(0);
  JobSpec fgm = plain, freelb = plain, none = plain;
  fgm.mutable_adversarial()->set_epsilon(0.5);
  none.mutable_adversarial()->set_epsilon(1e-9);
  freelb.mutable_adversarial()->set_type(ADVERSARIAL_TYPE_FREELB);
  freelb.mutable_adversarial()->set_epsilon(0.5);
  freelb.mutable_adversarial()->set_steps(4);
  freelb.mutable_adversarial()->set_step_size(0.2);
  const auto run = [&](const JobSpec& spec) {
    Run program(&harness, spec);
    const std::vector<float> theta = model::FloatsOf(program.derived.artifacts.at("weights"));
    std::vector<float> gradient = program.Gradient(theta);
    return std::pair(program.loss, gradient);
  };
  const auto [loss, gradient] = run(plain);
  const auto [fgm_loss, fgm_gradient] = run(fgm);
  const auto [none_loss, none_gradient] = run(none);
  CHECK(fgm_loss > 2 * loss * 1.001);
  CHECK(none_loss == Approx(2 * loss));
  std::vector<double> twice;
  for (float value : gradient) twice.push_back(2.0 * value);
  CHECK(kernels::WorstError(none_gradient, twice) < 1e-4);
  CHECK(kernels::WorstError(fgm_gradient, twice) > 1e-3);
  const auto [freelb_loss, freelb_gradient] = run(freelb);
  CHECK(freelb_loss > 4 * loss);
  CHECK(run(freelb).second == freelb_gradient);
  freelb.mutable_train()->set_micro_batches(4);  // the same perturbations
  CHECK(run(freelb).first == Approx(freelb_loss));
}

TEST_CASE("The options of a loss reach the program") {
  DeriveHarness harness;
  JobSpec job = harness.Job();
  job.mutable_model()->set_dropout(0);
  const auto run = [&](const JobSpec& spec) {
    Run program(&harness, spec);
    std::vector<float> theta(Elements(program.derived.plan));
    kernels::FillNormal(DeriveKey(1, "test"), 0, 0, 0.5f, absl::MakeSpan(theta));
    program.Gradient(theta);
    return program.loss;
  };
  const double plain = run(job);
  JobSpec smooth = job, focal = job, weighted = job, doubled = job;
  smooth.mutable_loss()->set_label_smoothing(0.2);
  focal.mutable_loss()->set_focusing(2);
  weighted.mutable_loss()->add_class_weights("0=0");
  doubled.mutable_loss()->add_class_weights("0=3");
  doubled.mutable_loss()->add_class_weights("1=3");
  CHECK(run(smooth) != plain);
  CHECK(run(focal) < plain);
  CHECK(run(doubled) == Approx(plain));  // weights are scaled to mean 1
  // Of the 41 examples 20 have the label 1: with weight 41/20 they alone count.
  weighted.mutable_loss()->add_class_weights("1=7");
  JobSpec other = job;
  other.mutable_loss()->add_class_weights("1=0");
  CHECK(run(weighted) * 20 / 41 + run(other) * 21 / 41 == Approx(plain));
}

}  // namespace
}  // namespace shoal::worker
