// A plain forward pass in float64, for tests: one example at a time, loops and nothing else.
#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "common/base/philox.h"
#include "kernels/init.h"
#include "model/batch.h"
#include "model/model_config.h"
#include "model/parameters.h"

namespace shoal {

using Doubles = std::vector<double>;

inline ModelConfig SmallConfig(NormPlacement norm, Task task,
                               ActivationType activation = ACTIVATION_TYPE_GELU) {
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
  config.embedding_dropout_prob = config.hidden_dropout_prob = config.attention_probs_dropout_prob = 0;
  config.labels = {"a", "b", "c"};
  if (task == TASK_TEXT_REGRESSION) config.labels = {"number"};
  return config;
}

inline ModelConfig SmallGpt2() {
  ModelConfig config =
      SmallConfig(NORM_PLACEMENT_PRE, TASK_CAUSAL_LANGUAGE_MODELLING, ACTIVATION_TYPE_GELU_TANH);
  config.family = MODEL_FAMILY_GPT2;
  config.type_vocab_size = 0;
  config.pad_token_id = -1;
  config.labels.clear();
  return config;
}

// Examples of different lengths.
struct Examples {
  explicit Examples(const ModelConfig& config, const std::vector<int>& lengths = {4, 10, 1}) {
    PhiloxStream random(DeriveKey(3, "examples"));
    for (int length : lengths) {
      for (int t = 0; t < length; ++t)
        tokens.push_back(static_cast<int32_t>(random.UniformInt(config.vocab_size)));
      offsets.push_back(static_cast<int32_t>(tokens.size()));
    }
    if (config.task == TASK_TEXT_CLASSIFICATION) {
      for (size_t e = 0; e < lengths.size(); ++e) classes.push_back(static_cast<int32_t>((e + 2) % 3));
    } else {
      for (size_t i = 0; i < lengths.size() * config.labels.size(); ++i)
        targets.push_back(static_cast<float>(i % 2));
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

inline std::vector<float> RandomTheta(const ModelConfig& config) {
  std::vector<float> theta(MakeParameters(config).size);
  FillNormal(DeriveKey(5, "theta"), 0, 0.1f, 0.3f, absl::MakeSpan(theta));
  return theta;
}

class Oracle {
 public:
  Oracle(const ModelConfig& config, const Doubles& theta)
      : config_(config), at_(MakeParameters(config)), theta_(theta) {}

  // The sum over the examples, or with a language model over the predicted tokens.
  double Loss(const Examples& examples) const {
    double loss = 0;
    for (size_t e = 0; e + 1 < examples.offsets.size(); ++e) {
      loss += config_.causal() ? NextTokenLoss(examples, e) : LabelLoss(examples, e);
    }
    return loss;
  }

 private:
  bool pre() const { return config_.norm == NORM_PLACEMENT_PRE; }

  // What the stack makes of an example, [T,C].
  Doubles Hidden(const Examples& examples, size_t example) const {
    const int64_t begin = examples.offsets[example], length = examples.offsets[example + 1] - begin,
                  hidden = config_.hidden_size;
    Doubles x(length * hidden);
    for (int64_t t = 0; t < length; ++t) {
      for (int64_t c = 0; c < hidden; ++c) {
        x[t * hidden + c] = theta_[at_.embeddings.words + examples.tokens[begin + t] * hidden + c] +
                            theta_[at_.embeddings.positions + (t + config_.position_offset()) * hidden + c];
        if (config_.type_vocab_size > 0) x[t * hidden + c] += theta_[at_.embeddings.types + c];
      }
    }
    if (config_.has_embedding_norm()) x = Norm(x, at_.embeddings.norm_weight, at_.embeddings.norm_bias);
    for (const LayerOffsets& layer : at_.layers) x = Layer(x, layer);
    return pre() ? Norm(x, at_.head.norm_weight, at_.head.norm_bias) : x;
  }

  static double CrossEntropy(const Doubles& logits, int64_t label) {
    double sum = 0;
    for (double logit : logits) sum += std::exp(logit);
    return std::log(sum) - logits[label];
  }

  double NextTokenLoss(const Examples& examples, size_t example) const {
    const int64_t begin = examples.offsets[example], end = examples.offsets[example + 1],
                  hidden = config_.hidden_size;
    const Doubles x = Hidden(examples, example);
    double loss = 0;
    for (int64_t i = begin; i + 1 < end; ++i) {
      Doubles logits(config_.vocab_size);
      for (int64_t v = 0; v < config_.vocab_size; ++v) {
        for (int64_t c = 0; c < hidden; ++c)
          logits[v] += x[(i - begin) * hidden + c] * theta_[at_.embeddings.words + v * hidden + c];
      }
      loss += CrossEntropy(logits, examples.tokens[i + 1]);
    }
    return loss;
  }

  double LabelLoss(const Examples& examples, size_t example) const {
    const size_t labels = config_.labels.size();
    Doubles first = Hidden(examples, example);
    first.resize(config_.hidden_size);
    Doubles dense =
        Linear(first, at_.head.dense_weight, at_.head.dense_bias, config_.hidden_size, config_.hidden_size);
    for (double& value : dense) value = std::tanh(value);
    const Doubles logits = Linear(dense, at_.head.label_weight, at_.head.label_bias, config_.hidden_size,
                                  static_cast<int64_t>(labels));
    if (config_.task == TASK_TEXT_CLASSIFICATION) return CrossEntropy(logits, examples.classes[example]);
    double loss = 0;
    for (size_t i = 0; i < labels; ++i) {
      const double target = examples.targets[example * labels + i];
      const double part = config_.task == TASK_TEXT_REGRESSION
                              ? (logits[i] - target) * (logits[i] - target)
                              : std::log1p(std::exp(logits[i])) - target * logits[i];
      loss += part / static_cast<double>(labels);
    }
    return loss;
  }

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
        const int64_t keys = config_.causal() ? q + 1 : length;
        Doubles weights(keys);
        double sum = 0;
        for (int64_t k = 0; k < keys; ++k) {
          double score = 0;
          for (int64_t i = 0; i < width; ++i) {
            score += qkv[q * 3 * hidden + head * width + i] * qkv[k * 3 * hidden + hidden + head * width + i];
          }
          sum += weights[k] = std::exp(score / std::sqrt(static_cast<double>(width)));
        }
        for (int64_t k = 0; k < keys; ++k) {
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

}  // namespace shoal
