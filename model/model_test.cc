// The model against a plain forward pass in float64: its logits, and its gradients by central differences of
// the plain loss.
#include "model/model.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "catch2/catch.hpp"
#include "common/base/philox.h"
#include "common/storage/file.h"
#include "common/storage/safetensors.h"
#include "common/storage/test_dir.h"
#include "kernels/cpu/cpu_device.h"
#include "model/families/family.h"
#include "model/heads.h"
#include "model/hugging_face.h"
#include "model/lora.h"
#include "model/model_oracle.h"
#include "model/parameters.h"
#include "model/trainable_parameters.h"

namespace shoal::model {
namespace {

std::unique_ptr<kernels::Device> NewDevice(int threads, const std::string& isa = "") {
  kernels::CpuDeviceOptions options;
  options.threads = threads;
  options.isa = isa;
  auto device = kernels::CpuDevice::Create(options);
  REQUIRE(device.ok());
  return *std::move(device);
}

struct Gradient {
  std::vector<float> values;
  kernels::LossSum loss;
};

std::unique_ptr<Model> NewModel(kernels::Device* device, const ModelConfig& config, const Examples& examples,
                                kernels::DType activations = kernels::DType::kF32) {
  return MakeModel(device, config,
                   {static_cast<int64_t>(examples.tokens.size()), examples.view().example_count()},
                   activations);
}

MicroBatch Step(const std::vector<float>& theta, const Batch& batch, std::vector<float>* gradient) {
  MicroBatch step;
  step.theta = theta.data();
  step.batch = batch;
  step.dropout.key = DeriveKey(1, "dropout");
  step.gradient = gradient->data();
  return step;
}

constexpr auto kGo = [](int) { return true; };
constexpr auto kIgnore = [](int) {};

Gradient GradientOn(kernels::Device* device, const ModelConfig& config, const std::vector<float>& theta,
                    const Examples& examples, kernels::DType activations) {
  const auto model = NewModel(device, config, examples, activations);
  Gradient gradient;
  gradient.values.assign(theta.size(), std::nanf(""));  // every element is written
  REQUIRE(model->Forward(Step(theta, examples.view(), &gradient.values), kGo, &gradient.loss));
  model->Backward(kIgnore);
  return gradient;
}

Gradient GradientOf(const ModelConfig& config, const std::vector<float>& theta, const Examples& examples,
                    int threads = 1, kernels::DType activations = kernels::DType::kF32) {
  return GradientOn(NewDevice(threads).get(), config, theta, examples, activations);
}

void CheckAgainstOracle(const ModelConfig& config) {
  const Examples examples(config);
  const std::vector<float> theta = RandomTheta(config);
  Doubles wide(theta.begin(), theta.end());
  const Oracle oracle(config, wide);
  const Gradient gradient = GradientOf(config, theta, examples);
  CHECK(gradient.loss.loss == Approx(oracle.Loss(examples)).epsilon(1e-5));

  PhiloxStream random(DeriveKey(7, "which"));
  for (const ParameterInfo& info : MakeParameters(config).infos) {
    uint64_t size = 1;
    for (uint64_t dimension : info.shape()) size *= dimension;
    double norm = 0;
    for (uint64_t i = 0; i < size; ++i)
      norm += gradient.values[info.offset() + i] * static_cast<double>(gradient.values[info.offset() + i]);
    norm = std::sqrt(norm);
    for (int sample = 0; sample < 8; ++sample) {
      const uint64_t i = info.offset() + random.UniformInt(size);
      constexpr double kStep = 1e-5;
      const double value = wide[i];
      wide[i] = value + kStep;
      const double above = oracle.Loss(examples);
      wide[i] = value - kStep;
      const double below = oracle.Loss(examples);
      wide[i] = value;
      INFO(info.name() << "[" << i - info.offset() << "]");
      CHECK(std::fabs(gradient.values[i] - (above - below) / (2 * kStep)) <= 1e-4 * norm + 1e-7);
    }
  }
}

TEST_CASE("Loss and gradients of every parameter agree with float64: post-norm") {
  for (HeadType head : {HEAD_TYPE_CLASS, HEAD_TYPE_NUMBER, HEAD_TYPE_LABELS, HEAD_TYPE_TOKEN_CLASSES,
                        HEAD_TYPE_SPAN, HEAD_TYPE_MASKED_TOKEN}) {
    CheckAgainstOracle(SmallConfig(NORM_PLACEMENT_POST, head));
  }
}

TEST_CASE("Loss and gradients of every parameter agree with float64: pre-norm") {
  CheckAgainstOracle(SmallConfig(NORM_PLACEMENT_PRE, HEAD_TYPE_CLASS));
  CheckAgainstOracle(SmallConfig(NORM_PLACEMENT_PRE, HEAD_TYPE_CLASS, ACTIVATION_TYPE_GELU_TANH));
}

TEST_CASE("Loss and gradients of every parameter agree with float64: causal language model") {
  CheckAgainstOracle(SmallGpt2());
}

TEST_CASE("Loss and gradients of every parameter agree with float64: RoBERTa and DistilBERT") {
  CheckAgainstOracle(SmallRoberta());
  CheckAgainstOracle(SmallDistilBert());
}

TEST_CASE("Loss and gradients of every parameter agree with float64: wide and deep") {
  CheckAgainstOracle(SmallEncoderNgrams());
}

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

ModelConfig WithDropout(ModelConfig config) {
  config.embedding_dropout_prob = config.hidden_dropout_prob = config.attention_probs_dropout_prob = 0.3;
  return config;
}

// Encoders with a label for each example, for each token and for hidden tokens, a decoder, and an encoder
// with n-grams.
std::vector<ModelConfig> EachKind() {
  return {SmallConfig(NORM_PLACEMENT_POST, HEAD_TYPE_CLASS),
          SmallConfig(NORM_PLACEMENT_POST, HEAD_TYPE_TOKEN_CLASSES),
          SmallConfig(NORM_PLACEMENT_PRE, HEAD_TYPE_SPAN),
          SmallConfig(NORM_PLACEMENT_POST, HEAD_TYPE_MASKED_TOKEN),
          SmallGpt2(),
          SmallEncoderNgrams()};
}

double Norm(const std::vector<float>& a) {
  double sum = 0;
  for (float x : a) sum += static_cast<double>(x) * x;
  return std::sqrt(sum);
}

double Distance(const std::vector<float>& a, std::vector<float> b) {
  for (size_t i = 0; i < a.size(); ++i) b[i] -= a[i];
  return Norm(b);
}

double Difference(const std::vector<float>& a, const std::vector<float>& b) {
  return Distance(a, b) / Norm(b);
}

TEST_CASE("A language model counts the predicted tokens, and examples of any number add up") {
  const ModelConfig config = SmallGpt2();
  const std::vector<float> theta = RandomTheta(config);
  const Examples examples(config);
  Gradient once = GradientOf(config, theta, examples);
  CHECK(once.loss.rows == 3 + 9 + 0);
  // Enough tokens for three chunks of logits whose boundaries cut examples.
  constexpr int kTimes = 60;
  Examples many = examples;
  for (int i = 1; i < kTimes; ++i) {
    for (size_t e = 0; e < 3; ++e)
      many.offsets.push_back(many.offsets.back() + examples.offsets[e + 1] - examples.offsets[e]);
    many.tokens.insert(many.tokens.end(), examples.tokens.begin(), examples.tokens.end());
  }
  const Gradient gradient = GradientOf(config, theta, many);
  CHECK(gradient.loss.rows == kTimes * once.loss.rows);
  CHECK(gradient.loss.loss == Approx(kTimes * once.loss.loss).epsilon(1e-6));
  for (float& value : once.values) value *= kTimes;
  CHECK(Difference(gradient.values, once.values) <= 1e-5);
}

// With n-grams the two losses differ by definition (model/recipe.h).
TEST_CASE("Evaluation finds the loss of training without dropout, with or without logits") {
  for (const ModelConfig& config : {SmallConfig(NORM_PLACEMENT_POST, HEAD_TYPE_CLASS), SmallGpt2()}) {
    const std::vector<float> theta = RandomTheta(config);
    const Examples examples(config);
    const kernels::LossSum trained = GradientOf(config, theta, examples).loss;
    const auto device = NewDevice(1);
    const auto model = NewModel(device.get(), config, examples);
    std::vector<float> logits(config.causal() ? examples.tokens.size() * config.vocab_size
                                              : 3 * config.labels.size());
    for (const absl::Span<float> out : {absl::Span<float>(), absl::MakeSpan(logits)}) {
      const kernels::LossSum evaluated = model->Evaluate(theta.data(), examples.view(), out);
      CHECK(evaluated.loss == trained.loss);
      CHECK(evaluated.rows == trained.rows);
      CHECK(evaluated.correct == trained.correct);
    }
  }
}

TEST_CASE("A model for evaluation alone gives the same logits, in less memory") {
  for (const ModelConfig& config :
       {SmallConfig(NORM_PLACEMENT_POST, HEAD_TYPE_CLASS), SmallConfig(NORM_PLACEMENT_PRE, HEAD_TYPE_CLASS),
        SmallGpt2(), SmallEncoderNgrams()}) {
    const std::vector<float> theta = RandomTheta(config);
    const Examples examples(config);
    const auto device = NewDevice(1);
    for (kernels::DType type : {kernels::DType::kF32, kernels::DType::kBf16}) {
      std::vector<std::vector<float>> logits;
      std::vector<int64_t> memory_bytes;
      for (Purpose purpose : {Purpose::kTraining, Purpose::kEvaluation}) {
        const auto model = MakeModel(device.get(), config, {15, 3}, type, purpose);
        logits.emplace_back(config.causal() ? 15 * config.vocab_size : 3 * config.labels.size());
        model->Evaluate(theta.data(), examples.view(), absl::MakeSpan(logits.back()));
        memory_bytes.push_back(model->memory_bytes());
      }
      CHECK(logits[0] == logits[1]);
      CHECK(memory_bytes[1] < memory_bytes[0] / 2);
    }
  }
}

TEST_CASE("One and two threads give the same bits, with dropout") {
  for (const ModelConfig& family : EachKind()) {
    const ModelConfig config = WithDropout(family);
    const Examples examples(config, std::vector<int>(90, 9));
    const std::vector<float> theta = RandomTheta(config);
    for (kernels::DType type : {kernels::DType::kF32, kernels::DType::kBf16}) {
      const Gradient one = GradientOf(config, theta, examples, 1, type);
      const Gradient two = GradientOf(config, theta, examples, 2, type);
      CHECK(one.values == two.values);
      CHECK(one.loss.loss == two.loss.loss);
    }
  }
}

TEST_CASE("bf16 has the same bits with AVX2, AVX-512 and AVX512_BF16") {
  for (const ModelConfig& family : EachKind()) {
    const ModelConfig config = WithDropout(family);
    const Examples examples(config, std::vector<int>(20, 9));
    const std::vector<float> theta = RandomTheta(config);
    const auto slowest = NewDevice(1, "avx2");
    const Gradient expected = GradientOn(slowest.get(), config, theta, examples, kernels::DType::kBf16);
    const auto fastest = NewDevice(1);
    const Gradient gradient = GradientOn(fastest.get(), config, theta, examples, kernels::DType::kBf16);
    CHECK(gradient.values == expected.values);
    CHECK(gradient.loss.loss == expected.loss.loss);
  }
}

// The relative error of a bf16 rounding is at most 2^-9; about a dozen of them contribute to each gradient.
TEST_CASE("Loss and gradients of every parameter in bf16 are those of f32, but for roundings") {
  for (const ModelConfig& config : EachKind()) {
    const Examples examples(config, std::vector<int>(20, 9));
    const std::vector<float> theta = RandomTheta(config);
    const Gradient f32 = GradientOf(config, theta, examples);
    const Gradient bf16 = GradientOf(config, theta, examples, 1, kernels::DType::kBf16);
    CHECK(bf16.loss.loss == Approx(f32.loss.loss).epsilon(0.01));
    CHECK(bf16.loss.rows == f32.loss.rows);
    for (const ParameterInfo& info : MakeParameters(config).infos) {
      INFO(info.name());
      uint64_t size = 1;
      for (uint64_t dimension : info.shape()) size *= dimension;
      const auto part = [&](const Gradient& gradient) {
        const auto begin = gradient.values.begin() + static_cast<int64_t>(info.offset());
        return std::vector<float>(begin, begin + static_cast<int64_t>(size));
      };
      // Some gradients are 0 up to rounding, such as those of the keys' biases. Those of a choice among an
      // example's tokens add up to 0, so most of what the tokens have in common is lost, but not its
      // roundings.
      const double rounding = config.head == HEAD_TYPE_SPAN ? 5e-3 : 1e-3;
      CHECK(Distance(part(bf16), part(f32)) < 0.1 * Norm(part(f32)) + rounding * Norm(f32.values));
    }
  }
}

TEST_CASE("A slot cut into micro-batches draws the same dropout masks") {
  for (const ModelConfig& family : EachKind()) {
    const ModelConfig config = WithDropout(family);
    const Examples examples(config);
    const std::vector<float> theta = RandomTheta(config);
    const Gradient whole = GradientOf(config, theta, examples);
    const auto device = NewDevice(1);
    const auto model = NewModel(device.get(), config, examples);
    std::vector<float> gradient(theta.size());
    MicroBatch step = Step(theta, {}, &gradient);
    double loss = 0;
    for (size_t e = 0; e < 3; ++e) {
      const std::vector<int32_t> offsets = {0, examples.offsets[e + 1] - examples.offsets[e]};
      step.batch.tokens = absl::MakeConstSpan(examples.tokens).subspan(examples.offsets[e], offsets[1]);
      step.batch.offsets = offsets;
      const bool of_tokens = HasTokenClasses(HeadOf(config.head).target);
      const size_t first = of_tokens ? static_cast<size_t>(examples.offsets[e]) : e;
      step.batch.classes = absl::MakeConstSpan(examples.classes)
                               .subspan(std::min(first, examples.classes.size()), of_tokens ? offsets[1] : 1);
      step.accumulate = e > 0;
      kernels::LossSum sum;
      REQUIRE(model->Forward(step, kGo, &sum));
      model->Backward(kIgnore);
      loss += sum.loss;
      step.dropout.first_token += offsets[1];
      step.dropout.first_example += 1;
    }
    CHECK(loss == Approx(whole.loss.loss).epsilon(1e-6));
    CHECK(Difference(gradient, whole.values) <= 1e-5);
  }
}

TEST_CASE("Groups become final from the last to the first, each once") {
  for (const ModelConfig& config :
       {SmallConfig(NORM_PLACEMENT_POST, HEAD_TYPE_CLASS), SmallConfig(NORM_PLACEMENT_PRE, HEAD_TYPE_CLASS),
        SmallGpt2(), SmallEncoderNgrams()}) {
    const Examples examples(config);
    const std::vector<float> theta = RandomTheta(config);
    const auto device = NewDevice(1);
    const auto model = NewModel(device.get(), config, examples);
    std::vector<float> gradient(theta.size());
    const MicroBatch step = Step(theta, examples.view(), &gradient);
    std::vector<int> waited, final;
    kernels::LossSum loss;
    REQUIRE(model->Forward(
        step, [&](int group) { return waited.push_back(group), true; }, &loss));
    model->Backward([&](int group) { final.push_back(group); });
    CHECK(final == std::vector<int>{3, 2, 1, 0});
    waited.erase(std::unique(waited.begin(), waited.end()), waited.end());
    CHECK(waited == std::vector<int>{0, 1, 2, 3});
    CHECK_FALSE(model->Forward(
        step, [](int group) { return group < 2; }, &loss));
  }
}

TEST_CASE("Layers take turns with the memory of two gradients") {
  for (const ModelConfig& family :
       {SmallConfig(NORM_PLACEMENT_POST, HEAD_TYPE_CLASS), SmallConfig(NORM_PLACEMENT_PRE, HEAD_TYPE_CLASS),
        SmallGpt2(), SmallEncoderNgrams()}) {
    ModelConfig config = WithDropout(family);
    config.num_hidden_layers = 4;
    const Examples examples(config);
    const std::vector<float> theta = RandomTheta(config);
    const Gradient whole = GradientOf(config, theta, examples);
    const Parameters parameters = MakeParameters(config);
    const std::vector<uint64_t>&sizes = parameters.group_sizes, &begins = parameters.group_begins;
    const uint64_t largest = *std::max_element(sizes.begin() + 1, sizes.end());
    std::vector<uint64_t> offsets;
    for (size_t group = 0; group < sizes.size(); ++group)
      offsets.push_back(group == 0 ? 0 : sizes[0] + group % 2 * largest);
    std::vector<float> memory(sizes[0] + 2 * largest, std::nanf("")), gradient(theta.size());
    MicroBatch step = Step(theta, examples.view(), &memory);
    step.gradient_offsets = offsets;
    const auto device = NewDevice(1);
    const auto model = NewModel(device.get(), config, examples);
    kernels::LossSum loss;
    REQUIRE(model->Forward(step, kGo, &loss));
    model->Backward([&](int group) {
      std::copy_n(memory.data() + offsets[group], sizes[group], gradient.data() + begins[group]);
    });
    CHECK(gradient == whole.values);
  }
}

// A small model of each family with each of its heads.
std::vector<ModelConfig> EveryModel() {
  std::vector<ModelConfig> models;
  for (const ModelConfig& config :
       {SmallConfig(NORM_PLACEMENT_POST, HEAD_TYPE_CLASS), SmallConfig(NORM_PLACEMENT_PRE, HEAD_TYPE_CLASS),
        SmallRoberta(), SmallDistilBert(), SmallGpt2(), SmallEncoderNgrams()}) {
    const Family* const family = FindFamily(config.family, config.norm);
    for (const HeadInfo& head : Heads()) {
      if (FindArchitecture(*family, head.type) == nullptr) continue;
      models.push_back(config);
      models.back().head = head.type;
      if (head.labels == LabelCount::kOne) models.back().labels.resize(1);
    }
  }
  return models;
}

TEST_CASE("A model of any family, with any of its heads, comes back from a Hugging Face folder") {
  for (const ModelConfig& config : EveryModel()) {
    INFO(PrintModelConfig(config));
    const TestDir dir;
    const std::vector<float> theta = RandomTheta(config);
    REQUIRE(WriteModel(PosixEnv(), dir.path(), config, theta).ok());
    const auto read = ReadModelConfig(PosixEnv(), dir.path());
    INFO(read.status());
    REQUIRE(read.ok());
    CHECK(read->head == config.head);
    CHECK(PrintModelConfig(*read) == PrintModelConfig(config));
    const auto weights = ReadWeights(PosixEnv(), dir.path(), MakeParameters(*read));
    INFO(weights.status());
    REQUIRE(weights.ok());
    CHECK(weights->theta == theta);
    CHECK(weights->unused.empty());
    CHECK(PosixEnv()->FileExists(dir / "generation_config.json") == config.causal());
  }
}

TEST_CASE("Weights of a bare model, without its family's prefix, are read, and the head is initialized") {
  for (const ModelConfig& config : {SmallConfig(NORM_PLACEMENT_POST, HEAD_TYPE_CLASS), SmallRoberta(),
                                    SmallDistilBert(), SmallGpt2(), SmallEncoderNgrams()}) {
    const TestDir dir;
    const Parameters parameters = MakeParameters(config);
    std::vector<SafetensorsEntry> entries;
    for (const ParameterInfo& info : parameters.infos) {
      if (info.offset() >= parameters.head_begin) break;
      REQUIRE(absl::StartsWith(info.name(), parameters.root));
      std::vector<uint64_t> shape(info.shape().begin(), info.shape().end());
      if (info.transposed()) std::swap(shape[0], shape[1]);
      entries.push_back({info.name().substr(parameters.root.size()), SafetensorsType::kF32, shape, 0});
    }
    auto writer = SafetensorsWriter::Create(PosixEnv(), dir / "model.safetensors", entries, {});
    REQUIRE(writer.ok());
    for (const SafetensorsEntry& entry : entries)
      REQUIRE(writer->Append(std::vector<float>(entry.elements(), 1)).ok());
    REQUIRE(writer->Finish().ok());
    const auto weights = ReadWeights(PosixEnv(), dir.path(), parameters);
    INFO(weights.status());
    REQUIRE(weights.ok());
    for (size_t i = 0; i < weights->found.size(); ++i) CHECK(weights->found[i] == (i < entries.size()));
  }
}

TEST_CASE("Weights may be in several files, with an index") {
  const TestDir dir;
  const ModelConfig config = SmallConfig(NORM_PLACEMENT_POST, HEAD_TYPE_CLASS);
  const std::vector<float> theta = RandomTheta(config);
  const Parameters parameters = MakeParameters(config);
  std::string map;
  const char* const kNames[] = {"model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"};
  for (int shard = 0; shard < 2; ++shard) {
    std::vector<SafetensorsEntry> entries;
    std::vector<float> values;
    for (size_t i = 0; i < parameters.infos.size(); ++i) {
      const ParameterInfo& info = parameters.infos[i];
      if (static_cast<int>(i % 2) != shard) continue;
      entries.push_back({info.name(), SafetensorsType::kF32, {info.shape().begin(), info.shape().end()}, 0});
      const auto begin = theta.begin() + static_cast<int64_t>(info.offset());
      values.insert(values.end(), begin, begin + static_cast<int64_t>(entries.back().elements()));
      absl::StrAppend(&map, map.empty() ? "" : ", ", "\"", info.name(), "\": \"", kNames[shard], "\"");
    }
    auto writer = SafetensorsWriter::Create(PosixEnv(), dir / kNames[shard], entries, {});
    REQUIRE(writer.ok());
    REQUIRE(writer->Append(values).ok());
    REQUIRE(writer->Finish().ok());
  }
  const auto write_index = [&](const std::string& text) {
    REQUIRE(PosixEnv()->WriteFileAtomic(dir / "model.safetensors.index.json", text).ok());
  };
  const auto error = [&] {
    return std::string(ReadWeights(PosixEnv(), dir.path(), parameters).status().message());
  };
  write_index(absl::StrCat("{\"weight_map\": {", map, "}}"));
  const auto weights = ReadWeights(PosixEnv(), dir.path(), parameters);
  INFO(weights.status());
  REQUIRE(weights.ok());
  CHECK(weights->theta == theta);
  CHECK(WeightsFilesAt(PosixEnv(), dir.path())->size() == 3);
  CHECK(DescribeWeights("F", parameters, *weights).size() == 1);
  write_index("{\"weight_map\": {\"a\": \"../model.safetensors\"}}");
  CHECK_THAT(error(), Catch::Contains("expected one of this folder"));
  write_index("[]");
  CHECK_THAT(error(), Catch::Contains("index.json: expected an object \"weight_map\""));
  REQUIRE(PosixEnv()->DeleteFile(dir / kNames[1]).ok());
  write_index(absl::StrCat("{\"weight_map\": {", map, "}}"));
  CHECK_THAT(error(), Catch::Contains(kNames[1]));
}

TEST_CASE("A folder whose weights are a pickle, or a pointer to a file that is not there, says what helps") {
  const TestDir dir;
  const Parameters parameters = MakeParameters(SmallConfig(NORM_PLACEMENT_POST, HEAD_TYPE_CLASS));
  const auto error = [&] {
    return std::string(ReadWeights(PosixEnv(), dir.path(), parameters).status().message());
  };
  CHECK_THAT(error(), Catch::Contains("model.safetensors: No such file"));
  REQUIRE(PosixEnv()->WriteFileAtomic(dir / "pytorch_model.bin", "PK").ok());
  CHECK_THAT(error(), Catch::Contains("pytorch_model.bin is a pickle") && Catch::Contains("python3 -c"));
  REQUIRE(PosixEnv()
              ->WriteFileAtomic(dir / "model.safetensors",
                                "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n")
              .ok());
  CHECK_THAT(error(), Catch::Contains("is only a pointer of Git LFS") && Catch::Contains("git lfs pull"));
}

TEST_CASE("The head of a folder is used row by row as its labels are called, or not at all") {
  ModelConfig of = SmallConfig(NORM_PLACEMENT_POST, HEAD_TYPE_CLASS);
  of.labels = {"a", "b", "c"};
  ModelConfig config = of;
  const Parameters parameters = MakeParameters(of);
  LoadedWeights loaded;
  loaded.theta = RandomTheta(of);
  loaded.found.assign(parameters.infos.size(), true);
  const std::vector<float> theta = loaded.theta;
  const ParameterInfo& weight = parameters.infos[parameters.infos.size() - 2];
  const ParameterInfo& bias = parameters.infos.back();
  SECTION("in the same order") {
    MatchHead(&of, config, parameters, &loaded);
    CHECK(loaded.theta == theta);
  }
  SECTION("in another order") {
    config.labels = {"c", "a", "b"};
    MatchHead(&of, config, parameters, &loaded);
    const size_t rows[] = {2, 0, 1};
    for (size_t row = 0; row < 3; ++row) {
      CHECK(loaded.theta[bias.offset() + row] == theta[bias.offset() + rows[row]]);
      for (uint64_t column = 0; column < weight.shape(1); ++column) {
        CHECK(loaded.theta[weight.offset() + row * weight.shape(1) + column] ==
              theta[weight.offset() + rows[row] * weight.shape(1) + column]);
      }
    }
    CHECK(std::equal(theta.begin(), theta.begin() + static_cast<int64_t>(weight.offset()),
                     loaded.theta.begin()));
    CHECK(loaded.head.empty());
  }
  const auto dropped = [&](const ModelConfig* folder, const std::string& why) {
    MatchHead(folder, config, parameters, &loaded);
    CHECK(loaded.head == why);
    CHECK_FALSE(loaded.found.back());
    CHECK(loaded.theta.back() == 0);
    const auto lines = DescribeWeights("F", parameters, loaded);
    REQUIRE(lines.size() == 2);
    CHECK_THAT(lines[1], Catch::Contains("new: the head, as " + why + " (") && Catch::Contains(bias.name()));
  };
  SECTION("other labels; the pooler was pretrained, and stays") {
    config.labels = {"a", "b", "d"};
    dropped(&of, "the folder's model has other labels");
    const ParameterInfo& pooler = parameters.infos[parameters.infos.size() - 4];
    REQUIRE(pooler.name() == "bert.pooler.dense.weight");
    CHECK(loaded.found[loaded.found.size() - 4]);
    CHECK(loaded.theta[pooler.offset()] == theta[pooler.offset()]);
  }
  SECTION("another label twice") {
    of.labels = {"a", "b", "b"};
    dropped(&of, "the folder's model has other labels");
  }
  SECTION("another kind of head") {
    of.head = HEAD_TYPE_TOKEN_CLASSES;
    dropped(&of, "the folder's model predicts something else");
  }
  SECTION("a class without a head that we know") {
    dropped(nullptr, "the folder's model predicts something else");
  }
}

TEST_CASE("GPT-2's matrices are transposed in its files") {
  const TestDir dir;
  const ModelConfig config = SmallGpt2();
  const std::vector<float> theta = RandomTheta(config);
  REQUIRE(WriteModel(PosixEnv(), dir.path(), config, theta).ok());
  const auto file = SafetensorsReader::Open(PosixEnv(), dir / "model.safetensors");
  REQUIRE(file.ok());
  const auto entry = file->Find("transformer.h.1.mlp.c_fc.weight");
  REQUIRE(entry.ok());
  CHECK((*entry)->shape == std::vector<uint64_t>{16, 24});
  const auto values = file->ReadFloats("transformer.h.1.mlp.c_fc.weight");
  REQUIRE(values.ok());
  const Recipe recipe = MakeRecipe(config);
  const uint64_t at = std::get<MlpSpec>(recipe.stack.sublayers[3].branch).up.weight.offset;
  CHECK((*values)[3 * 24 + 5] == theta[at + 5 * 16 + 3]);
}

TEST_CASE("Configurations that we would compute wrongly are refused with the field") {
  for (const char* field :
       {"\"tie_word_embeddings\": false", "\"scale_attn_weights\": false", "\"add_cross_attention\": true",
        "\"activation_function\": \"relu\"", "\"n_head\": 5"}) {
    INFO(field);
    const auto config = ParseModelConfig(absl::StrCat("{\"model_type\": \"gpt2\", ", field, "}"));
    CHECK(config.status().code() == absl::StatusCode::kInvalidArgument);
  }
  CHECK(ParseModelConfig("{\"model_type\": \"gpt2\"}")->intermediate_size == 3072);
  CHECK_FALSE(ParseModelConfig("{\"model_type\": \"llama\"}").ok());
}

TEST_CASE("Configurations that a family cannot have are refused") {
  const auto refused = [](const ModelConfig& config) { return !CheckModelConfig(config).ok(); };
  ModelConfig config = SmallGpt2();
  config.norm = NORM_PLACEMENT_POST;
  CHECK(refused(config));
  config = SmallRoberta();
  config.norm = NORM_PLACEMENT_PRE;
  CHECK(refused(config));
  config = SmallDistilBert();
  config.type_vocab_size = 2;
  CHECK(refused(config));
  config = SmallDistilBert();
  config.layer_norm_eps = 1e-5;
  CHECK(refused(config));
  config = SmallRoberta();
  config.ngram_buckets = 8;
  CHECK(refused(config));
  for (int64_t length : {0, 4}) {
    config = SmallEncoderNgrams();
    config.ngram_length = length;
    CHECK(refused(config));
  }
  config = SmallEncoderNgrams();
  config.ngram_scale = 0;
  CHECK(refused(config));
  config = SmallEncoderNgrams();
  config.ngram_buckets = 0;
  CHECK(refused(config));
  config = SmallRoberta();
  config.head = HEAD_TYPE_NEXT_TOKEN;
  CHECK(refused(config));
}

TEST_CASE("Numbers of config.json that no size or token can be are refused with their field") {
  for (const char* field : {"pad_token_id", "max_position_embeddings", "hidden_size", "vocab_size"}) {
    for (const char* number : {"-9223372036854775808", "9223372036854775807", "18446744073709551615"}) {
      const auto config = ParseModelConfig(
          absl::StrCat("{\"model_type\": \"roberta-prelayernorm\", \"", field, "\": ", number, "}"));
      INFO(field << " " << number << ": " << config.status());
      REQUIRE(config.status().code() == absl::StatusCode::kInvalidArgument);
      CHECK(absl::StrContains(config.status().message(), field));
      CHECK(absl::StrContains(config.status().message(), number));
    }
  }
}

}  // namespace
}  // namespace shoal::model
