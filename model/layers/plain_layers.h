// The layers as plain loops in float64, for tests: one example at a time, without dropout.
#pragma once

#include <cmath>
#include <cstdint>
#include <variant>
#include <vector>

#include "absl/types/span.h"
#include "kernels/activation.h"
#include "model/recipe.h"

namespace shoal::model {

using Doubles = std::vector<double>;

inline Doubles PlainSum(Doubles a, const Doubles& b) {
  for (size_t i = 0; i < a.size(); ++i) a[i] += b[i];
  return a;
}

inline double PlainActivation(kernels::Activation activation, double x) {
  switch (activation) {
    case kernels::Activation::kGelu:
      return 0.5 * x * (1 + std::erf(x / std::sqrt(2.0)));
    case kernels::Activation::kGeluTanh:
      return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
    case kernels::Activation::kRelu:
      return x > 0 ? x : 0;
    default:
      return std::tanh(x);
  }
}

// -log softmax(logits)[label]
inline double PlainCrossEntropy(const Doubles& logits, int64_t label) {
  double sum = 0;
  for (double logit : logits) sum += std::exp(logit);
  return std::log(sum) - logits[label];
}

// The bucket of the n-gram of `length` tokens that ends with tokens[t] (kernels/token_ids.h).
inline int64_t PlainBucket(absl::Span<const int32_t> tokens, int64_t t, int length, int64_t buckets) {
  uint64_t hash = length;
  for (int64_t i = t - length + 1; i <= t; ++i) {
    hash ^= i < 0 ? 0xFFFFFFFFu : static_cast<uint32_t>(tokens[i]);
    hash += 0x9E3779B97F4A7C15u;
    hash = (hash ^ hash >> 30) * 0xBF58476D1CE4E5B9u;
    hash = (hash ^ hash >> 27) * 0x94D049BB133111EBu;
    hash ^= hash >> 31;
  }
  return static_cast<int64_t>(hash % buckets);
}

// Rows are those of one example, [T,C].
class PlainLayers {
 public:
  explicit PlainLayers(const Doubles& theta) : theta_(theta) {}

  Doubles Linear(const LinearSpec& spec, const Doubles& x) const {
    const int64_t in = spec.weight.columns, out = spec.weight.rows;
    const int64_t rows = static_cast<int64_t>(x.size()) / in;
    Doubles y(rows * out);
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t o = 0; o < out; ++o) {
        double sum = spec.bias ? theta_[spec.bias->offset + o] : 0;
        for (int64_t i = 0; i < in; ++i) sum += x[r * in + i] * theta_[spec.weight.offset + o * in + i];
        y[r * out + o] = sum;
      }
    }
    for (const LowRankSpec& part : spec.low_rank) {
      const Doubles inner = Linear({part.a, {}}, x), added = Linear({part.b, {}}, inner);
      for (int64_t r = 0; r < rows; ++r) {
        for (int64_t o = 0; o < part.b.rows; ++o)
          y[r * out + part.first_row + o] += part.scale * added[r * part.b.rows + o];
      }
    }
    if (!spec.bottleneck) return y;
    Doubles down = Linear({spec.bottleneck->down, spec.bottleneck->down_bias}, y);
    for (double& value : down) value = PlainActivation(kernels::Activation::kGelu, value);
    const Doubles added = Linear({spec.bottleneck->up, spec.bottleneck->up_bias}, down);
    for (size_t i = 0; i < y.size(); ++i) y[i] += added[i];
    return y;
  }

  Doubles Norm(const NormSpec& spec, const Doubles& x) const {
    const int64_t channels = spec.weight.size;
    Doubles y(x.size());
    for (size_t row = 0; row < x.size(); row += channels) {
      double mean = 0, variance = 0;
      for (int64_t c = 0; c < channels; ++c) mean += x[row + c] / channels;
      for (int64_t c = 0; c < channels; ++c) variance += (x[row + c] - mean) * (x[row + c] - mean) / channels;
      for (int64_t c = 0; c < channels; ++c) {
        y[row + c] =
            (x[row + c] - mean) / std::sqrt(variance + spec.epsilon) * theta_[spec.weight.offset + c] +
            theta_[spec.bias.offset + c];
      }
    }
    return y;
  }

  Doubles Embedding(const EmbeddingSpec& spec, absl::Span<const int32_t> tokens,
                    absl::Span<const int32_t> types) const {
    const int64_t channels = spec.words.columns;
    Doubles x(tokens.size() * channels);
    const auto add = [&](const MatrixParameter& table, size_t token, int64_t row) {
      for (int64_t c = 0; c < channels; ++c)
        x[token * channels + c] += spec.scale * theta_[table.offset + row * channels + c];
    };
    for (size_t t = 0; t < tokens.size(); ++t) {
      add(spec.words, t, tokens[t]);
      add(spec.positions, t, static_cast<int64_t>(t) + spec.first_position);
      if (spec.types) add(*spec.types, t, types.empty() ? 0 : types[t]);
    }
    return spec.norm ? Norm(*spec.norm, x) : x;
  }

  Doubles Branch(const AttentionSpec& spec, const Doubles& x) const {
    const int64_t hidden = spec.out.weight.columns, length = static_cast<int64_t>(x.size()) / hidden;
    const Doubles qkv = Linear(spec.qkv, x);
    Doubles context(x.size());
    for (int64_t head = 0; head < spec.heads; ++head) {
      for (int64_t q = 0; q < length; ++q)
        Attend(spec, qkv, head, q, spec.causal ? q + 1 : length, &context[q * hidden]);
    }
    return Linear(spec.out, context);
  }

  Doubles Branch(const MlpSpec& spec, const Doubles& x) const {
    Doubles up = Linear(spec.up, x);
    for (double& value : up) value = PlainActivation(spec.activation, value);
    return Linear(spec.out, up);
  }

  Doubles Stack(const StackSpec& spec, Doubles x) const {
    for (const SublayerSpec& sublayer : spec.sublayers) {
      const bool pre = spec.placement == NORM_PLACEMENT_PRE;
      const Doubles input = pre ? Norm(sublayer.norm, x) : x;
      x = PlainSum(x, std::visit([&](const auto& branch) { return Branch(branch, input); }, sublayer.branch));
      if (!pre) x = Norm(sublayer.norm, x);
    }
    return spec.last_norm ? Norm(*spec.last_norm, x) : x;
  }

  // What the head's loss in training is for an example with this class, whose rows are `x` [T,C].
  double ClassLoss(const ClassificationHeadSpec& spec, absl::Span<const int32_t> tokens, const Doubles& x,
                   int64_t label) const {
    const double loss = PlainCrossEntropy(Labels(spec, tokens, x), label);
    return spec.ngrams ? (loss + PlainCrossEntropy(Ngrams(*spec.ngrams, tokens), label)) / 2 : loss;
  }

  // The same of what is predicted.
  double PredictionLoss(const ClassificationHeadSpec& spec, absl::Span<const int32_t> tokens,
                        const Doubles& x, int64_t label) const {
    Doubles logits = Labels(spec, tokens, x);
    if (spec.ngrams) {
      logits = PlainSum(logits, Ngrams(*spec.ngrams, tokens));
      for (double& logit : logits) logit /= 2;
    }
    return PlainCrossEntropy(logits, label);
  }

  // The loss of the tokens whose class is not negative; their rows are `x` [T,C].
  double TokenLoss(const TokenClassificationHeadSpec& spec, const Doubles& x,
                   absl::Span<const int32_t> classes) const {
    return RowsLoss(Linear(spec.labels, x), spec.labels.weight.rows, classes);
  }

  // The mean loss of the two choices among an example's tokens, whose rows are `x` [T,C].
  double SpanLoss(const SpanHeadSpec& spec, const Doubles& x, absl::Span<const int32_t> classes) const {
    const Doubles logits = Linear(spec.ends, x);
    double loss = 0;
    for (int end = 0; end < 2; ++end) {
      Doubles column;
      int64_t label = 0;
      for (size_t t = 0; t < classes.size(); ++t) {
        column.push_back(logits[t * 2 + end]);
        if (classes[t] >= 0 && (classes[t] >> end & 1) != 0) label = static_cast<int64_t>(t);
      }
      loss += PlainCrossEntropy(column, label) / 2;
    }
    return loss;
  }

  // The loss of the tokens that are hidden; their rows are `x` [T,C].
  double MaskedLoss(const MaskedLanguageModelHeadSpec& spec, const Doubles& x,
                    absl::Span<const int32_t> classes) const {
    Doubles dense = Linear(spec.dense, x);
    for (double& value : dense) value = PlainActivation(spec.activation, value);
    return RowsLoss(Linear({spec.words, spec.bias}, Norm(spec.norm, dense)), spec.words.rows, classes);
  }

  // The logits of an example, without those of the n-grams.
  Doubles Labels(const ClassificationHeadSpec& spec, absl::Span<const int32_t> tokens,
                 const Doubles& x) const {
    const size_t channels = spec.labels.weight.columns;
    Doubles pooled(x.begin(), x.begin() + channels);
    if (spec.pooling == Pooling::kMean) {
      for (size_t i = channels; i < x.size(); ++i) pooled[i % channels] += x[i];
      for (double& value : pooled) value /= static_cast<double>(tokens.size());
    }
    if (spec.dense) {
      pooled = Linear(*spec.dense, pooled);
      for (double& value : pooled) value = PlainActivation(spec.activation, value);
    }
    return Linear(spec.labels, pooled);
  }

  Doubles Ngrams(const NgramBagSpec& spec, absl::Span<const int32_t> tokens) const {
    const MatrixParameter& table = spec.table;
    Doubles sum(table.columns);
    for (size_t t = 0; t < tokens.size(); ++t) {
      for (int length = 1; length <= spec.longest; ++length) {
        const int64_t row = PlainBucket(tokens, static_cast<int64_t>(t), length, table.rows);
        for (int64_t c = 0; c < table.columns; ++c) sum[c] += theta_[table.offset + row * table.columns + c];
      }
    }
    for (double& value : sum) value *= spec.scale / std::sqrt(static_cast<double>(tokens.size()));
    return sum;
  }

 private:
  static double RowsLoss(const Doubles& logits, int64_t columns, absl::Span<const int32_t> classes) {
    double loss = 0;
    for (size_t t = 0; t < classes.size(); ++t) {
      const auto row = logits.begin() + static_cast<int64_t>(t) * columns;
      if (classes[t] >= 0) loss += PlainCrossEntropy(Doubles(row, row + columns), classes[t]);
    }
    return loss;
  }

  // The attention of query `q` over the first `keys` keys; `context` [C] out, for this head.
  static void Attend(const AttentionSpec& spec, const Doubles& qkv, int64_t head, int64_t q, int64_t keys,
                     double* context) {
    const int64_t hidden = spec.out.weight.columns, width = hidden / spec.heads;
    const auto at = [&](int64_t row, int64_t part) {
      return &qkv[row * 3 * hidden + part * hidden + head * width];
    };
    Doubles weights(keys);
    double sum = 0;
    for (int64_t k = 0; k < keys; ++k) {
      double score = 0;
      for (int64_t i = 0; i < width; ++i) score += at(q, 0)[i] * at(k, 1)[i];
      sum += weights[k] = std::exp(score / std::sqrt(static_cast<double>(width)));
    }
    for (int64_t k = 0; k < keys; ++k) {
      for (int64_t i = 0; i < width; ++i) context[head * width + i] += weights[k] / sum * at(k, 2)[i];
    }
  }

  const Doubles& theta_;
};

}  // namespace shoal::model
