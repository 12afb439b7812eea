// Embeddings, encoder, and a head on the first token.
#include <algorithm>
#include <utility>

#include "common/philox.h"
#include "common/status.h"
#include "kernels/activation.h"
#include "kernels/elementwise.h"
#include "kernels/embedding.h"
#include "model/encoder.h"
#include "model/model.h"
#include "model/sublayers.h"

namespace shoal {
namespace {

class SequenceModel : public Model {
 public:
  SequenceModel(Device* device, const ModelConfig& config, const BatchLimits& limits)
      : device_(device),
        config_(config),
        parameters_(MakeParameters(config_)),
        x_(buffers_.Add(limits.tokens, config.hidden_size)),
        encoder_(config_, parameters_, limits, x_, &buffers_) {
    const int64_t hidden = config.hidden_size, labels = label_count();
    sum_ = buffers_.Add(limits.tokens, hidden);
    mean_ = buffers_.Add(limits.tokens, 1);
    rstd_ = buffers_.Add(limits.tokens, 1);
    first_ = buffers_.Add(limits.examples, hidden);
    dense_ = buffers_.Add(limits.examples, hidden);
    pooled_ = buffers_.Add(limits.examples, hidden);
    d_pooled_ = buffers_.Add(limits.examples, hidden);
    logits_ = buffers_.Add(limits.examples, labels);
    d_logits_ = buffers_.Add(limits.examples, labels);
    buffers_.Allocate();
    positions_.resize(limits.tokens);
    types_.assign(limits.tokens, 0);
    first_rows_.resize(limits.examples);
  }

  bool Forward(const float* theta, const Batch& batch, const DropoutSeed& dropout, WaitGroup wait_group,
               LossSum* loss) override {
    Pass pass = NewPass(theta, batch);
    pass.training = true;
    pass.dropout_key = dropout.key;
    pass.first_token = dropout.first_token;
    pass.first_example = dropout.first_example;
    pass_ = pass;
    if (!RunForward(pass, batch, wait_group)) return false;
    *loss = Loss(batch, Logits(batch), buffers_.Matrix(d_logits_, batch.example_count()));
    return true;
  }

  void Backward(const float* theta, const Batch& batch, float* gradient, bool accumulate,
                GroupFinal group_final) override {
    Pass pass = pass_;
    pass.theta = theta;
    pass.offsets = batch.offsets;
    pass.gradient = gradient;
    pass.accumulate = accumulate;
    if (!accumulate) ClearSums(gradient);
    const bool pre = config_.norm == NORM_PLACEMENT_PRE;
    HeadBackward(pass, batch);
    // Pre-norm: the norm at the end belongs to the head's group and is the encoder's to do.
    if (!pre) group_final(static_cast<int>(parameters_.layers.size()) + 1);
    encoder_.Backward(pass, batch.token_count(), group_final);
    EmbeddingsBackward(pass, batch);
    group_final(0);
  }

  LossSum Evaluate(const float* theta, const Batch& batch, absl::Span<float> logits) override {
    const Pass pass = NewPass(theta, batch);
    RunForward(pass, batch, [](int) { return true; });
    const Tensor result = Logits(batch);
    SHOAL_CHECK(static_cast<int64_t>(logits.size()) == result.size());
    std::copy(result.f32(), result.f32() + result.size(), logits.begin());
    if (batch.classes.empty() && batch.targets.empty()) return {};
    return Loss(batch, result, {});
  }

 private:
  int64_t label_count() const { return static_cast<int64_t>(config_.labels.size()); }

  Pass NewPass(const float* theta, const Batch& batch) {
    Pass pass;
    pass.device = device_;
    pass.config = &config_;
    pass.theta = theta;
    pass.offsets = batch.offsets;
    Number(batch);
    return pass;
  }

  // Positions of the tokens, and the rows of the first tokens.
  void Number(const Batch& batch) {
    for (int64_t b = 0; b < batch.example_count(); ++b) {
      const int32_t begin = batch.offsets[b], end = batch.offsets[b + 1];
      SHOAL_CHECK(begin < end && end - begin <= config_.max_position_embeddings);
      first_rows_[b] = begin;
      for (int32_t i = begin; i < end; ++i) {
        positions_[i] = static_cast<int32_t>(i - begin + config_.position_offset());
      }
    }
  }

  ConstTensor Ids(absl::Span<const int32_t> ids, int64_t count) const { return {ids.data(), {count}}; }
  ConstTensor TypesOf(const Batch& batch) const {
    return batch.types.empty() ? Ids(types_, batch.token_count()) : Ids(batch.types, batch.token_count());
  }
  ConstTensor FirstRows(const Batch& batch) const { return Ids(first_rows_, batch.example_count()); }
  Tensor Logits(const Batch& batch) const { return buffers_.Matrix(logits_, batch.example_count()); }

  ResidualNorm EmbeddingNorm(int64_t tokens) const {
    ResidualNorm norm;
    norm.weight = parameters_.embeddings.norm_weight;
    norm.bias = parameters_.embeddings.norm_bias;
    norm.buffers = {buffers_.Matrix(sum_, tokens), buffers_.Matrix(x_, tokens),
                    buffers_.Vector(mean_, tokens), buffers_.Vector(rstd_, tokens)};
    return norm;
  }

  bool RunForward(const Pass& pass, const Batch& batch, WaitGroup wait_group) {
    if (!wait_group(0)) return false;
    Embed(pass, batch);
    if (!encoder_.Forward(pass, batch.token_count(), wait_group)) return false;
    if (!wait_group(static_cast<int>(parameters_.layers.size()) + 1)) return false;
    Head(pass, batch);
    return true;
  }

  void Embed(const Pass& pass, const Batch& batch) {
    const int64_t hidden = config_.hidden_size, tokens = batch.token_count();
    const EmbeddingOffsets& at = parameters_.embeddings;
    const ResidualNorm norm = EmbeddingNorm(tokens);
    EmbeddingForwardArgs args;
    args.token = {pass.Matrix(at.words, config_.vocab_size, hidden), Ids(batch.tokens, tokens)};
    args.position = {
        pass.Matrix(at.positions, config_.max_position_embeddings + config_.position_offset(), hidden),
        Ids(positions_, tokens)};
    args.type = {pass.Matrix(at.types, config_.type_vocab_size, hidden), TypesOf(batch)};
    args.y = norm.buffers.sum;
    EmbeddingForward(*device_, args);
    PlainNorm(pass, norm);
    Drop(pass, "embeddings", norm.buffers.y);
  }

  // x = dropout(x); its own backward.
  void Drop(const Pass& pass, const char* site, const Tensor& x) {
    const Dropout dropout = HiddenDropout(pass, site, 0);
    if (dropout.rate > 0) ApplyDropout(*device_, {dropout, x, {}, x});
  }
  // The same for one row an example.
  void DropExamples(const Pass& pass, const char* site, const Tensor& x) {
    Pass of_examples = pass;
    of_examples.first_token = pass.first_example;
    Drop(of_examples, site, x);
  }

  void Head(const Pass& pass, const Batch& batch) {
    const int64_t examples = batch.example_count(), hidden = config_.hidden_size;
    const HeadOffsets& at = parameters_.head;
    const Tensor first = buffers_.Matrix(first_, examples), dense = buffers_.Matrix(dense_, examples);
    const Tensor pooled = buffers_.Matrix(pooled_, examples);
    GatherRows(*device_, encoder_.Output(batch.token_count()), FirstRows(batch), first);
    if (config_.norm == NORM_PLACEMENT_PRE) DropExamples(pass, "head input", first);
    Linear(pass, {first, at.dense_weight, dense, {}});
    ActivationForward(*device_, {Activation::kTanh, dense, pass.Vector(at.dense_bias, hidden), pooled});
    DropExamples(pass, "head", pooled);
    Linear(pass, {pooled, at.label_weight, Logits(batch), pass.Vector(at.label_bias, label_count())});
  }

  void HeadBackward(const Pass& pass, const Batch& batch) {
    const int64_t examples = batch.example_count(), hidden = config_.hidden_size;
    const HeadOffsets& at = parameters_.head;
    const Tensor first = buffers_.Matrix(first_, examples), dense = buffers_.Matrix(dense_, examples);
    const Tensor pooled = buffers_.Matrix(pooled_, examples), d_pooled = buffers_.Matrix(d_pooled_, examples);
    const Tensor d_logits = buffers_.Matrix(d_logits_, examples);
    AddColumnSums(*device_, d_logits, pass.VectorGradient(at.label_bias, label_count()));
    LinearBackward(pass, {pooled, d_logits, at.label_weight, d_pooled});
    DropExamples(pass, "head", d_pooled);
    ActivationBackwardArgs tanh;
    tanh.activation = Activation::kTanh;
    tanh.x = dense;
    tanh.bias = pass.Vector(at.dense_bias, hidden);
    tanh.d_y = d_pooled;
    tanh.d_x = d_pooled;
    tanh.d_bias = pass.VectorGradient(at.dense_bias, hidden);
    ActivationBackward(*device_, tanh);
    // `pooled` is free by now.
    LinearBackward(pass, {first, d_pooled, at.dense_weight, pooled});
    if (config_.norm == NORM_PLACEMENT_PRE) DropExamples(pass, "head input", pooled);
    ScatterRows(*device_, pooled, FirstRows(batch), encoder_.OutputGradient(batch.token_count()));
  }

  void EmbeddingsBackward(const Pass& pass, const Batch& batch) {
    const int64_t tokens = batch.token_count(), hidden = config_.hidden_size;
    const EmbeddingOffsets& at = parameters_.embeddings;
    const Tensor d_y = encoder_.Scratch(tokens), d_sum = encoder_.OutputGradient(tokens);
    ResidualNormBackwardArgs args;
    args.d_y = encoder_.InputGradient(tokens);
    args.d_y_more = encoder_.InputGradientMore(tokens);
    args.d_sum = d_sum;
    if (HiddenDropout(pass, "embeddings", 0).rate > 0) {
      if (args.d_y_more.present()) {
        Add(*device_, args.d_y, args.d_y_more, d_y);
        Drop(pass, "embeddings", d_y);
      } else {
        ApplyDropout(*device_, {HiddenDropout(pass, "embeddings", 0), args.d_y, {}, d_y});
      }
      args.d_y = d_y;
      args.d_y_more = {};
    }
    ResidualNormBackward(pass, EmbeddingNorm(tokens), args);
    const auto table = [&](uint64_t offset, int64_t rows, const ConstTensor& ids) {
      EmbeddingBackward(*device_, {ids, d_sum, Tensor(pass.gradient + offset, {rows, hidden})});
    };
    table(at.words, config_.vocab_size, Ids(batch.tokens, tokens));
    table(at.positions, config_.max_position_embeddings + config_.position_offset(), Ids(positions_, tokens));
    table(at.types, config_.type_vocab_size, TypesOf(batch));
  }

  // What backward adds to starts at 0: vectors and embedding tables.
  void ClearSums(float* gradient) {
    const uint64_t tables = parameters_.group_sizes[0];
    SetZero(*device_, Tensor(gradient, {static_cast<int64_t>(tables)}));
    for (const ParameterInfo& info : parameters_.infos) {
      if (info.offset() < tables || info.shape_size() > 1) continue;
      std::fill_n(gradient + info.offset(), info.shape(0), 0.0f);
    }
  }

  LossSum Loss(const Batch& batch, const Tensor& logits, const Tensor& d_logits) {
    const int64_t examples = batch.example_count();
    if (config_.task == TASK_TEXT_CLASSIFICATION) {
      CrossEntropyArgs args;
      args.logits = logits;
      args.labels = Ids(batch.classes, examples);
      args.d_logits = d_logits;
      return CrossEntropy(*device_, args);
    }
    const ConstTensor targets(batch.targets.data(), {examples, label_count()});
    if (config_.task == TASK_TEXT_REGRESSION)
      return MeanSquaredError(*device_, {logits, targets, 1, d_logits});
    return SigmoidCrossEntropy(*device_, {logits, targets, 1, d_logits});
  }

  Device* const device_;
  const ModelConfig config_;
  const Parameters parameters_;
  BufferSet buffers_;
  const int x_;
  Encoder encoder_;
  int sum_, mean_, rstd_, first_, dense_, pooled_, d_pooled_, logits_, d_logits_;
  std::vector<int32_t> positions_;
  std::vector<int32_t> types_;
  std::vector<int32_t> first_rows_;
  Pass pass_;  // of the last Forward
};

}  // namespace

std::unique_ptr<Model> MakeModel(Device* device, const ModelConfig& config, const BatchLimits& limits) {
  SHOAL_CHECK_OK(CheckModelConfig(config));
  return std::make_unique<SequenceModel>(device, config, limits);
}

}  // namespace shoal
