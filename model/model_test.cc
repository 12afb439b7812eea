// The model against a plain forward pass in float64: its logits, and its gradients by central differences of
// the plain loss. And what it promises of rounds, threads, memory and precision.
#include "model/model.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <vector>

#include "catch2/catch.hpp"
#include "model/heads.h"
#include "model/model_harness.h"
#include "model/model_oracle.h"
#include "model/parameters.h"

namespace shoal::model {
namespace {

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

}  // namespace
}  // namespace shoal::model
