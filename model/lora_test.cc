// Low-rank additions, and models of which a part is frozen.
#include "model/lora.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "catch2/catch.hpp"
#include "model/model_harness.h"
#include "model/model_oracle.h"
#include "model/parameters.h"
#include "model/trainable_parameters.h"

namespace shoal::model {
namespace {

// Additions to all linear maps of the layers, in which the first ones of `maps` are joined.
ModelConfig WithLora(ModelConfig config, std::vector<std::string> maps) {
  config.lora = {3, 6, 0, std::move(maps)};
  return config;
}

const std::vector<std::string> kBertMaps = {
    "query", "key", "value", "attention.output.dense", "intermediate.dense", "output.dense"};

TEST_CASE("Loss and gradients of every parameter agree with float64: low-rank additions") {
  CheckAgainstOracle(WithLora(SmallConfig(NORM_PLACEMENT_POST, HEAD_TYPE_TOKEN_CLASSES), {"query", "value"}));
  CheckAgainstOracle(WithLora(SmallConfig(NORM_PLACEMENT_POST, HEAD_TYPE_CLASS), kBertMaps));
  CheckAgainstOracle(WithLora(SmallConfig(NORM_PLACEMENT_PRE, HEAD_TYPE_SPAN), kBertMaps));
  CheckAgainstOracle(WithLora(SmallGpt2(), {"c_attn", "c_proj", "c_fc"}));
  CheckAgainstOracle(WithLora(SmallDistilBert(), {"q_lin", "out_lin", "lin2"}));
}

std::vector<float> LogitsOf(const ModelConfig& config, const std::vector<float>& theta,
                            const Examples& examples) {
  const auto device = NewDevice(1);
  const auto model = NewModel(device.get(), config, examples);
  std::vector<float> logits(3 * config.labels.size());
  model->Evaluate(theta.data(), examples.view(), absl::MakeSpan(logits));
  return logits;
}

TEST_CASE("Low-rank additions can be put into the maps that they are for") {
  const ModelConfig config = WithLora(SmallConfig(NORM_PLACEMENT_POST, HEAD_TYPE_CLASS), kBertMaps);
  const Examples examples(config);
  const std::vector<float> theta = RandomTheta(config), merged = MergeLora(config, theta);
  REQUIRE(merged.size() == MakeParameters(WithoutLora(config)).size);
  const std::vector<float> logits = LogitsOf(config, theta, examples);
  const std::vector<float> of_merged = LogitsOf(WithoutLora(config), merged, examples);
  for (size_t i = 0; i < logits.size(); ++i) CHECK(of_merged[i] == Approx(logits[i]).margin(1e-5));
  ModelConfig stronger = config;
  stronger.lora.alpha *= 2;
  CHECK(LogitsOf(stronger, theta, examples) != logits);
}

TEST_CASE("A config with low-rank additions is read back; an unknown map is named") {
  ModelConfig config = WithLora(SmallConfig(NORM_PLACEMENT_POST, HEAD_TYPE_CLASS), {"query", "dense"});
  config.lora.dropout = 0.25;
  const auto read = ParseModelConfig(PrintModelConfig(config));
  REQUIRE(read.ok());
  CHECK(read->lora.rank == 3);
  CHECK(read->lora.alpha == 6);
  CHECK(read->lora.dropout == 0.25);
  CHECK(read->lora.targets == config.lora.targets);
  CHECK(CheckLoraTargets(config).ok());
  config.lora.targets.push_back("quer");
  CHECK_THAT(std::string(CheckLoraTargets(config).message()),
             Catch::Matchers::Contains("'quer'") && Catch::Matchers::Contains("attention.self.query"));
  for (const char* bad :
       {R"("shoal_lora": 1)", R"("shoal_lora": {"r": 0})",
        R"("shoal_lora": {"r": 2, "lora_alpha": 1, "lora_dropout": 0})",
        R"("shoal_lora": {"r": 2, "lora_alpha": 1, "lora_dropout": 1, "target_modules": ["q"]})"}) {
    INFO(bad);
    const std::string json = absl::StrCat("{", bad, ", ", PrintModelConfig(WithoutLora(config)).substr(1));
    CHECK_THAT(std::string(ParseModelConfig(json).status().message()),
               Catch::Matchers::Contains("lora") || Catch::Matchers::Contains("low-rank"));
  }
}

// Whether the parameter is one of the kind that the test freezes.
using IsFrozen = bool (*)(const ParameterInfo& info);

TEST_CASE("Frozen parameters change no gradient of the others") {
  const IsFrozen kinds[] = {
      [](const ParameterInfo& info) { return absl::StrContains(info.name(), "embeddings"); },
      [](const ParameterInfo& info) { return !absl::StrContains(info.name(), "classifier"); },
      [](const ParameterInfo& info) { return absl::StrContains(info.name(), "layer.1."); },
      [](const ParameterInfo& info) { return !absl::EndsWith(info.name(), ".bias"); },
      [](const ParameterInfo& info) {
        return !info.added() && !absl::StrContains(info.name(), "classifier");
      },
  };
  for (const ModelConfig& config : {WithLora(SmallConfig(NORM_PLACEMENT_POST, HEAD_TYPE_CLASS), {"query"}),
                                    SmallConfig(NORM_PLACEMENT_PRE, HEAD_TYPE_CLASS),
                                    SmallConfig(NORM_PLACEMENT_POST, HEAD_TYPE_MASKED_TOKEN)}) {
    const Examples examples(config);
    const Parameters parameters = MakeParameters(config);
    const std::vector<float> theta = RandomTheta(config), whole = GradientOf(config, theta, examples).values;
    for (const IsFrozen is_frozen : kinds) {
      std::vector<bool> trains;
      for (const ParameterInfo& info : parameters.infos) trains.push_back(!is_frozen(info));
      if (std::count(trains.begin(), trains.end(), true) == 0) continue;
      const TrainableParameters trainable(parameters, trains);
      const auto device = NewDevice(1);
      const auto model =
          MakeModel(device.get(), config,
                    {static_cast<int64_t>(examples.tokens.size()), examples.view().example_count()},
                    kernels::DType::kF32, Purpose::kTraining, {&trainable});
      std::vector<float> gradient(theta.size(), std::nanf(""));
      kernels::LossSum loss;
      REQUIRE(model->Forward(Step(theta, examples.view(), &gradient), kGo, &loss));
      std::vector<int> groups;
      model->Backward([&](int group) { groups.push_back(group); });
      CHECK(groups == std::vector<int>{3, 2, 1, 0});
      CHECK(trainable.Trainable(gradient) == trainable.Trainable(whole));
      // The products of frozen weights, which are most of the work, are not computed.
      for (size_t i = 0; i < trains.size(); ++i) {
        const ParameterInfo& info = parameters.infos[i];
        const bool table = absl::StrContains(info.name(), "embeddings.") && trainable.first_group() == 0;
        if (trains[i] || info.added() || info.shape_size() < 2 || table) continue;
        INFO(info.name());
        CHECK(std::isnan(gradient[info.offset()]));
      }
    }
  }
}

TEST_CASE("Trainable and frozen parameters are split and joined") {
  const ModelConfig config = SmallConfig(NORM_PLACEMENT_POST, HEAD_TYPE_CLASS);
  const Parameters parameters = MakeParameters(config);
  std::vector<bool> trains;
  for (size_t i = 0; i < parameters.infos.size(); ++i) trains.push_back(i % 3 == 1);
  const TrainableParameters trainable(parameters, trains);
  const std::vector<float> theta = RandomTheta(config), part = trainable.Trainable(theta),
                           frozen = trainable.Frozen(theta);
  CHECK(part.size() == trainable.size());
  CHECK(frozen.size() == trainable.frozen_size());
  CHECK(part.size() + frozen.size() == theta.size());
  CHECK(*trainable.Whole(part, FloatsOf(BytesOf(frozen))) == theta);
  CHECK_FALSE(trainable.Whole(frozen, part).ok());
  std::vector<float> joined(theta.size()), extracted(part.size());
  for (int group = 0; group < 4; ++group) {
    trainable.Join(group, part.data(), joined.data());
    trainable.Extract(group, theta.data(), extracted.data());
  }
  CHECK(extracted == part);
  CHECK(trainable.Trainable(joined) == part);

  JobPlan plan;
  for (const ParameterInfo& info : trainable.infos()) *plan.add_parameters() = info;
  for (uint64_t size : trainable.group_sizes()) plan.add_group_sizes(size);
  const auto of_plan = TrainableParameters::OfPlan(parameters, plan);
  REQUIRE(of_plan.ok());
  CHECK(of_plan->Trainable(theta) == part);
  plan.set_group_sizes(1, plan.group_sizes(1) + 1);
  CHECK_FALSE(TrainableParameters::OfPlan(parameters, plan).ok());
  plan.mutable_parameters(2)->set_name("another");
  CHECK_THAT(std::string(TrainableParameters::OfPlan(parameters, plan).status().message()),
             Catch::Matchers::Contains("another"));
  for (size_t i = 0; i < parameters.infos.size(); ++i) {
    const ParameterInfo& info = parameters.infos[i];
    uint64_t size = 1;
    for (uint64_t dimension : info.shape()) size *= dimension;
    CHECK(trainable.AnyTrains(info.offset(), size) == trains[i]);
  }
}

}  // namespace
}  // namespace shoal::model
