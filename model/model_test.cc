// The model against a plain forward pass in float64: its logits, and its gradients by central differences of
// the plain loss.
#include "model/model.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <vector>

#include "catch2/catch.hpp"
#include "common/file.h"
#include "common/philox.h"
#include "common/test_dir.h"
#include "kernels/device.h"
#include "kernels/init.h"
#include "model/hugging_face.h"
#include "model/parameters.h"

namespace shoal {
namespace {

using Doubles = std::vector<double>;

ModelConfig SmallConfig(NormPlacement norm, Task task, ActivationType activation = ACTIVATION_TYPE_GELU) {
  ModelConfig config;
  config.norm = norm;
  config.task = task;
  config.activation = activation;
  config.vocab_size = 40;
  config.hidden_size = 16;
  config.num_hidden_layers = 2;
  config.num_attention_heads = 2;
  config.intermediate_size = 24;
  config.max_position_embeddings = 10;
  config.layer_norm_eps = 1e-5;
  config.hidden_dropout_prob = 0;
  config.attention_probs_dropout_prob = 0;
  config.labels = {"a", "b", "c"};
  if (task == TASK_TEXT_REGRESSION) config.labels = {"number"};
  return config;
}

// Three examples of different lengths.
struct Examples {
  explicit Examples(const ModelConfig& config) {
    PhiloxStream random(DeriveKey(3, "examples"));
    for (int length : {4, 10, 1}) {
      for (int t = 0; t < length; ++t)
        tokens.push_back(static_cast<int32_t>(random.UniformInt(config.vocab_size)));
      offsets.push_back(static_cast<int32_t>(tokens.size()));
    }
    if (config.task == TASK_TEXT_CLASSIFICATION) {
      classes = {2, 0, 1};
    } else {
      for (size_t i = 0; i < 3 * config.labels.size(); ++i) targets.push_back(static_cast<float>(i % 2));
    }
  }
  Batch view() const {
    Batch batch;
    batch.tokens = tokens;
    batch.offsets = offsets;
    batch.classes = classes;
    batch.targets = targets;
    return batch;
  }
  std::vector<int32_t> tokens, offsets = {0}, classes;
  std::vector<float> targets;
};

std::vector<float> RandomTheta(const ModelConfig& config) {
  std::vector<float> theta(MakeParameters(config).size);
  FillNormal(DeriveKey(5, "theta"), 0, 0.1f, 0.3f, absl::MakeSpan(theta));
  return theta;
}

// ---- the oracle: one example at a time, loops and nothing else ----

class Oracle {
 public:
  Oracle(const ModelConfig& config, const Doubles& theta)
      : config_(config), at_(MakeParameters(config)), theta_(theta) {}

  Doubles Logits(const Examples& examples, size_t example) const {
    const int64_t begin = examples.offsets[example], length = examples.offsets[example + 1] - begin,
                  hidden = config_.hidden_size;
    Doubles x(length * hidden);
    for (int64_t t = 0; t < length; ++t) {
      for (int64_t c = 0; c < hidden; ++c) {
        x[t * hidden + c] = theta_[at_.embeddings.words + examples.tokens[begin + t] * hidden + c] +
                            theta_[at_.embeddings.positions + (t + config_.position_offset()) * hidden + c] +
                            theta_[at_.embeddings.types + c];
      }
    }
    x = Norm(x, at_.embeddings.norm_weight, at_.embeddings.norm_bias);
    for (const LayerOffsets& layer : at_.layers) x = Layer(x, layer);
    if (pre()) x = Norm(x, at_.head.norm_weight, at_.head.norm_bias);
    x.resize(hidden);
    Doubles dense = Linear(x, at_.head.dense_weight, at_.head.dense_bias, hidden, hidden);
    for (double& value : dense) value = std::tanh(value);
    return Linear(dense, at_.head.label_weight, at_.head.label_bias, hidden,
                  static_cast<int64_t>(config_.labels.size()));
  }

  double Loss(const Examples& examples) const {
    double loss = 0;
    const size_t labels = config_.labels.size();
    for (size_t e = 0; e + 1 < examples.offsets.size(); ++e) {
      const Doubles logits = Logits(examples, e);
      if (config_.task == TASK_TEXT_CLASSIFICATION) {
        double sum = 0;
        for (double logit : logits) sum += std::exp(logit);
        loss += std::log(sum) - logits[examples.classes[e]];
        continue;
      }
      for (size_t i = 0; i < labels; ++i) {
        const double target = examples.targets[e * labels + i];
        const double part = config_.task == TASK_TEXT_REGRESSION
                                ? (logits[i] - target) * (logits[i] - target)
                                : std::log1p(std::exp(logits[i])) - target * logits[i];
        loss += part / static_cast<double>(labels);
      }
    }
    return loss;
  }

 private:
  bool pre() const { return config_.norm == NORM_PLACEMENT_PRE; }

  Doubles Linear(const Doubles& x, uint64_t weight, uint64_t bias, int64_t in, int64_t out) const {
    const int64_t rows = static_cast<int64_t>(x.size()) / in;
    Doubles y(rows * out);
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t o = 0; o < out; ++o) {
        double sum = theta_[bias + o];
        for (int64_t i = 0; i < in; ++i) sum += x[r * in + i] * theta_[weight + o * in + i];
        y[r * out + o] = sum;
      }
    }
    return y;
  }

  Doubles Norm(const Doubles& x, uint64_t weight, uint64_t bias) const {
    const int64_t hidden = config_.hidden_size;
    Doubles y(x.size());
    for (size_t row = 0; row < x.size(); row += hidden) {
      double mean = 0, variance = 0;
      for (int64_t c = 0; c < hidden; ++c) mean += x[row + c] / hidden;
      for (int64_t c = 0; c < hidden; ++c) variance += (x[row + c] - mean) * (x[row + c] - mean) / hidden;
      for (int64_t c = 0; c < hidden; ++c) {
        y[row + c] = (x[row + c] - mean) / std::sqrt(variance + config_.layer_norm_eps) * theta_[weight + c] +
                     theta_[bias + c];
      }
    }
    return y;
  }

  static Doubles Sum(const Doubles& a, const Doubles& b) {
    Doubles sum = a;
    for (size_t i = 0; i < sum.size(); ++i) sum[i] += b[i];
    return sum;
  }

  Doubles Attention(const Doubles& x, const LayerOffsets& at) const {
    const int64_t hidden = config_.hidden_size, heads = config_.num_attention_heads, width = hidden / heads;
    const int64_t length = static_cast<int64_t>(x.size()) / hidden;
    const Doubles qkv = Linear(x, at.qkv_weight, at.qkv_bias, hidden, 3 * hidden);
    Doubles context(x.size());
    for (int64_t head = 0; head < heads; ++head) {
      for (int64_t q = 0; q < length; ++q) {
        Doubles weights(length);
        double sum = 0;
        for (int64_t k = 0; k < length; ++k) {
          double score = 0;
          for (int64_t i = 0; i < width; ++i) {
            score += qkv[q * 3 * hidden + head * width + i] * qkv[k * 3 * hidden + hidden + head * width + i];
          }
          sum += weights[k] = std::exp(score / std::sqrt(static_cast<double>(width)));
        }
        for (int64_t k = 0; k < length; ++k) {
          for (int64_t i = 0; i < width; ++i) {
            context[q * hidden + head * width + i] +=
                weights[k] / sum * qkv[k * 3 * hidden + 2 * hidden + head * width + i];
          }
        }
      }
    }
    return Linear(context, at.out_weight, at.out_bias, hidden, hidden);
  }

  double Gelu(double x) const {
    if (config_.activation == ACTIVATION_TYPE_GELU) return 0.5 * x * (1 + std::erf(x / std::sqrt(2.0)));
    return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
  }

  Doubles FeedForward(const Doubles& x, const LayerOffsets& at) const {
    Doubles up = Linear(x, at.up_weight, at.up_bias, config_.hidden_size, config_.intermediate_size);
    for (double& value : up) value = Gelu(value);
    return Linear(up, at.down_weight, at.down_bias, config_.intermediate_size, config_.hidden_size);
  }

  Doubles Layer(Doubles x, const LayerOffsets& at) const {
    if (pre()) {
      x = Sum(x, Attention(Norm(x, at.attention_norm_weight, at.attention_norm_bias), at));
      return Sum(x, FeedForward(Norm(x, at.feed_forward_norm_weight, at.feed_forward_norm_bias), at));
    }
    x = Norm(Sum(x, Attention(x, at)), at.attention_norm_weight, at.attention_norm_bias);
    return Norm(Sum(x, FeedForward(x, at)), at.feed_forward_norm_weight, at.feed_forward_norm_bias);
  }

  const ModelConfig config_;
  const Parameters at_;
  const Doubles& theta_;
};

// ---- tests ----

std::unique_ptr<Device> NewDevice(int threads) {
  DeviceOptions options;
  options.threads = threads;
  auto device = Device::Create(options);
  REQUIRE(device.ok());
  return *std::move(device);
}

struct Gradient {
  std::vector<float> values;
  LossSum loss;
};

Gradient GradientOf(const ModelConfig& config, const std::vector<float>& theta, const Examples& examples,
                    int threads = 1) {
  const auto device = NewDevice(threads);
  const auto model = MakeModel(device.get(), config, {static_cast<int64_t>(examples.tokens.size()), 3});
  Gradient gradient;
  gradient.values.assign(theta.size(), std::nanf(""));  // every element is written
  REQUIRE(model->Forward(
      theta.data(), examples.view(), {DeriveKey(1, "dropout"), 0, 0}, [](int) { return true; },
      &gradient.loss));
  model->Backward(theta.data(), examples.view(), gradient.values.data(), false, [](int) {});
  return gradient;
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
  for (Task task : {TASK_TEXT_CLASSIFICATION, TASK_TEXT_REGRESSION, TASK_MULTILABEL_CLASSIFICATION}) {
    CheckAgainstOracle(SmallConfig(NORM_PLACEMENT_POST, task));
  }
}

TEST_CASE("Loss and gradients of every parameter agree with float64: pre-norm") {
  CheckAgainstOracle(SmallConfig(NORM_PLACEMENT_PRE, TASK_TEXT_CLASSIFICATION));
  CheckAgainstOracle(SmallConfig(NORM_PLACEMENT_PRE, TASK_TEXT_CLASSIFICATION, ACTIVATION_TYPE_GELU_TANH));
}

TEST_CASE("One and two threads give the same bits, with dropout") {
  ModelConfig config = SmallConfig(NORM_PLACEMENT_POST, TASK_TEXT_CLASSIFICATION);
  config.hidden_dropout_prob = config.attention_probs_dropout_prob = 0.3;
  const Examples examples(config);
  const std::vector<float> theta = RandomTheta(config);
  const Gradient one = GradientOf(config, theta, examples, 1), two = GradientOf(config, theta, examples, 2);
  CHECK(one.values == two.values);
  CHECK(one.loss.loss == two.loss.loss);
}

TEST_CASE("A slot cut into micro-batches draws the same dropout masks") {
  ModelConfig config = SmallConfig(NORM_PLACEMENT_POST, TASK_TEXT_CLASSIFICATION);
  config.hidden_dropout_prob = config.attention_probs_dropout_prob = 0.3;
  const Examples examples(config);
  const std::vector<float> theta = RandomTheta(config);
  const Gradient whole = GradientOf(config, theta, examples);
  const auto device = NewDevice(1);
  const auto model = MakeModel(device.get(), config, {static_cast<int64_t>(examples.tokens.size()), 3});
  std::vector<float> gradient(theta.size());
  DropoutSeed dropout = {DeriveKey(1, "dropout"), 0, 0};
  double loss = 0;
  for (size_t e = 0; e < 3; ++e) {
    const std::vector<int32_t> offsets = {0, examples.offsets[e + 1] - examples.offsets[e]};
    Batch batch;
    batch.tokens = absl::MakeConstSpan(examples.tokens).subspan(examples.offsets[e], offsets[1]);
    batch.offsets = offsets;
    batch.classes = absl::MakeConstSpan(examples.classes).subspan(e, 1);
    LossSum sum;
    REQUIRE(model->Forward(
        theta.data(), batch, dropout, [](int) { return true; }, &sum));
    model->Backward(theta.data(), batch, gradient.data(), e > 0, [](int) {});
    loss += sum.loss;
    dropout.first_token += offsets[1];
    dropout.first_example += 1;
  }
  CHECK(loss == Approx(whole.loss.loss).epsilon(1e-6));
  double difference = 0, norm = 0;
  for (size_t i = 0; i < gradient.size(); ++i) {
    difference += (gradient[i] - whole.values[i]) * (gradient[i] - whole.values[i]);
    norm += whole.values[i] * whole.values[i];
  }
  CHECK(std::sqrt(difference) <= 1e-5 * std::sqrt(norm));
}

TEST_CASE("Groups become final from the last to the first, each once") {
  for (NormPlacement norm : {NORM_PLACEMENT_POST, NORM_PLACEMENT_PRE}) {
    const ModelConfig config = SmallConfig(norm, TASK_TEXT_CLASSIFICATION);
    const Examples examples(config);
    const std::vector<float> theta = RandomTheta(config);
    const auto device = NewDevice(1);
    const auto model = MakeModel(device.get(), config, {static_cast<int64_t>(examples.tokens.size()), 3});
    std::vector<float> gradient(theta.size());
    std::vector<int> waited, final;
    LossSum loss;
    REQUIRE(model->Forward(
        theta.data(), examples.view(), {}, [&](int group) { return waited.push_back(group), true; }, &loss));
    model->Backward(theta.data(), examples.view(), gradient.data(), false,
                    [&](int group) { final.push_back(group); });
    CHECK(final == std::vector<int>{3, 2, 1, 0});
    waited.erase(std::unique(waited.begin(), waited.end()), waited.end());
    CHECK(waited == std::vector<int>{0, 1, 2, 3});
    CHECK_FALSE(model->Forward(
        theta.data(), examples.view(), {}, [](int group) { return group < 2; }, &loss));
  }
}

TEST_CASE("A model written as a Hugging Face folder comes back") {
  for (NormPlacement norm : {NORM_PLACEMENT_POST, NORM_PLACEMENT_PRE}) {
    const TestDir dir;
    const ModelConfig config = SmallConfig(norm, TASK_MULTILABEL_CLASSIFICATION);
    const std::vector<float> theta = RandomTheta(config);
    REQUIRE(WriteModel(PosixEnv(), dir.path(), config, theta).ok());
    const auto read = ReadModelConfig(PosixEnv(), dir.path());
    INFO(read.status());
    REQUIRE(read.ok());
    CHECK(PrintModelConfig(*read) == PrintModelConfig(config));
    const auto weights = ReadWeights(PosixEnv(), dir.path(), MakeParameters(*read));
    REQUIRE(weights.ok());
    CHECK(weights->theta == theta);
    CHECK(weights->unused.empty());
  }
}

}  // namespace
}  // namespace shoal
