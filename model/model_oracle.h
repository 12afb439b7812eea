// A plain forward pass in float64, for tests: one example at a time.
#pragma once

#include <cmath>
#include <cstdint>
#include <variant>
#include <vector>

#include "absl/types/span.h"
#include "common/base/philox.h"
#include "kernels/init.h"
#include "model/batch.h"
#include "model/heads.h"
#include "model/layers/plain_layers.h"
#include "model/model_config.h"
#include "model/recipe.h"

namespace shoal::model {

inline ModelConfig SmallConfig(NormPlacement norm, HeadType head,
                               ActivationType activation = ACTIVATION_TYPE_GELU) {
  ModelConfig config;
  config.norm = norm;
  config.head = head;
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
  if (HeadOf(head).labels == LabelCount::kOne) config.labels = {"number"};
  if (HeadOf(head).labels == LabelCount::kNone) config.labels.clear();
  return config;
}

inline ModelConfig SmallGpt2() {
  ModelConfig config = SmallConfig(NORM_PLACEMENT_PRE, HEAD_TYPE_NEXT_TOKEN, ACTIVATION_TYPE_GELU_TANH);
  config.family = MODEL_FAMILY_GPT2;
  config.type_vocab_size = 0;
  config.pad_token_id = -1;
  return config;
}

inline ModelConfig SmallRoberta() {
  ModelConfig config = SmallConfig(NORM_PLACEMENT_POST, HEAD_TYPE_CLASS);
  config.family = MODEL_FAMILY_ROBERTA;
  config.pad_token_id = 1;
  return config;
}

inline ModelConfig SmallDistilBert() {
  ModelConfig config = SmallConfig(NORM_PLACEMENT_POST, HEAD_TYPE_CLASS);
  config.family = MODEL_FAMILY_DISTILBERT;
  config.type_vocab_size = 0;
  config.layer_norm_eps = 1e-12;
  return config;
}

inline ModelConfig SmallEncoderNgrams() {
  ModelConfig config = SmallConfig(NORM_PLACEMENT_PRE, HEAD_TYPE_CLASS);
  config.family = MODEL_FAMILY_ENCODER_NGRAMS;
  config.type_vocab_size = 0;
  config.ngram_buckets = 23;
  config.ngram_length = 3;
  config.ngram_scale = 1.5;
  config.embedding_scale = 2;
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
    const TargetKind target = HeadOf(config.head).target;
    if (target == TargetKind::kClass) {
      for (size_t e = 0; e < lengths.size(); ++e) classes.push_back(static_cast<int32_t>((e + 2) % 3));
    } else if (HasTokenClasses(target)) {
      for (size_t t = 0; t < tokens.size(); ++t) classes.push_back(static_cast<int32_t>(t % 4) - 1);
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
  kernels::FillNormal(DeriveKey(5, "theta"), 0, 0.1f, 0.3f, absl::MakeSpan(theta));
  return theta;
}

class Oracle {
 public:
  Oracle(const ModelConfig& config, const Doubles& theta)
      : recipe_(MakeRecipe(config)), theta_(theta), layers_(theta_) {}

  // The sum over the examples, or over the tokens that have a label.
  double Loss(const Examples& examples) const {
    double loss = 0;
    for (size_t e = 0; e + 1 < examples.offsets.size(); ++e) {
      loss += std::visit([&](const auto& head) { return HeadLoss(head, examples, e); }, recipe_.head);
    }
    return loss;
  }

 private:
  static absl::Span<const int32_t> Tokens(const Examples& examples, size_t example) {
    const size_t begin = examples.offsets[example], length = examples.offsets[example + 1] - begin;
    return absl::MakeConstSpan(examples.tokens).subspan(begin, length);
  }

  // The stack's output for an example, [T,C].
  Doubles Hidden(const Examples& examples, size_t example) const {
    return layers_.Stack(recipe_.stack, layers_.Embedding(recipe_.embedding, Tokens(examples, example), {}));
  }

  double HeadLoss(const LanguageModelHeadSpec& head, const Examples& examples, size_t example) const {
    const Doubles logits = layers_.Linear({head.words, {}}, Hidden(examples, example));
    const int32_t begin = examples.offsets[example], end = examples.offsets[example + 1];
    double loss = 0;
    for (int32_t i = begin; i + 1 < end; ++i) {
      const auto row = logits.begin() + (i - begin) * head.words.rows;
      loss += PlainCrossEntropy(Doubles(row, row + head.words.rows), examples.tokens[i + 1]);
    }
    return loss;
  }

  double HeadLoss(const TokenClassificationHeadSpec& head, const Examples& examples, size_t example) const {
    const int32_t begin = examples.offsets[example], end = examples.offsets[example + 1];
    return layers_.TokenLoss(head, Hidden(examples, example),
                             absl::MakeConstSpan(examples.classes).subspan(begin, end - begin));
  }

  double HeadLoss(const SpanHeadSpec& head, const Examples& examples, size_t example) const {
    const int32_t begin = examples.offsets[example], end = examples.offsets[example + 1];
    return layers_.SpanLoss(head, Hidden(examples, example),
                            absl::MakeConstSpan(examples.classes).subspan(begin, end - begin));
  }

  double HeadLoss(const MaskedLanguageModelHeadSpec& head, const Examples& examples, size_t example) const {
    const int32_t begin = examples.offsets[example], end = examples.offsets[example + 1];
    return layers_.MaskedLoss(head, Hidden(examples, example),
                              absl::MakeConstSpan(examples.classes).subspan(begin, end - begin));
  }

  double HeadLoss(const ClassificationHeadSpec& head, const Examples& examples, size_t example) const {
    const auto tokens = Tokens(examples, example);
    const Doubles hidden = Hidden(examples, example);
    if (head.loss == LossKind::kCrossEntropy)
      return layers_.ClassLoss(head, tokens, hidden, examples.classes[example]);
    const Doubles logits = layers_.Labels(head, tokens, hidden);
    double loss = 0;
    for (size_t i = 0; i < logits.size(); ++i) {
      const double target = examples.targets[example * logits.size() + i];
      const double part = head.loss == LossKind::kSquaredError
                              ? (logits[i] - target) * (logits[i] - target)
                              : std::log1p(std::exp(logits[i])) - target * logits[i];
      loss += part / static_cast<double>(logits.size());
    }
    return loss;
  }

  const Recipe recipe_;
  const Doubles& theta_;
  const PlainLayers layers_;
};

}  // namespace shoal::model
