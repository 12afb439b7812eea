#include <algorithm>
#include <cstdint>
#include <vector>

#include "common/base/status.h"
#include "kernels/activation.h"
#include "kernels/elementwise.h"
#include "kernels/embedding.h"
#include "model/head.h"

namespace shoal {
namespace {

class ClassificationHead : public Head {
 public:
  explicit ClassificationHead(const ModelPlan& plan)
      : config_(plan.config),
        at_(plan.parameters.head),
        buffers_(plan.buffers),
        labels_(static_cast<int64_t>(config_.labels.size())),
        first_rows_(plan.limits.examples) {
    const int64_t examples = plan.limits.examples, hidden = config_.hidden_size;
    gathered_ = plan.AddActivation(examples, hidden);
    first_ = plan.activations == DType::kF32 ? gathered_ : buffers_->Add(examples, hidden);
    dense_ = buffers_->Add(examples, hidden);
    pooled_ = buffers_->Add(examples, hidden);
    d_pooled_ = buffers_->Add(examples, hidden);
    logits_ = buffers_->Add(examples, labels_);
  }

  LossSum Train(const Pass& pass, const ConstTensor& hidden, const Tensor& d_hidden) override {
    const Tensor logits = Forward(pass, hidden);
    const LossSum loss = Loss(pass, logits, logits);
    Backward(pass, logits, d_hidden);
    return loss;
  }

  LossSum Evaluate(const Pass& pass, const ConstTensor& hidden, absl::Span<float> out) override {
    const Tensor logits = Forward(pass, hidden);
    SHOAL_CHECK(out.empty() || static_cast<int64_t>(out.size()) == logits.size());
    if (!out.empty()) std::copy_n(logits.f32(), logits.size(), out.begin());
    if (pass.batch.classes.empty() && pass.batch.targets.empty()) return {};
    return Loss(pass, logits, {});
  }

 private:
  ConstTensor FirstRows(const Pass& pass) const { return {first_rows_.data(), {pass.batch.example_count()}}; }
  // RoBERTa's head drops its input too.
  Dropout InputDropout(const Pass& pass) const {
    const bool pre = config_.norm == NORM_PLACEMENT_PRE;
    return DropoutOfExamples(pass, pre ? config_.hidden_dropout_prob : 0, "head input");
  }
  Dropout PooledDropout(const Pass& pass) const {
    return DropoutOfExamples(pass, config_.hidden_dropout_prob, "head");
  }

  // Returns the logits.
  Tensor Forward(const Pass& pass, const ConstTensor& hidden) {
    const int64_t examples = pass.batch.example_count(), channels = config_.hidden_size;
    const Tensor first = buffers_->Matrix(first_, examples), dense = buffers_->Matrix(dense_, examples);
    const Tensor pooled = buffers_->Matrix(pooled_, examples), logits = buffers_->Matrix(logits_, examples);
    const Tensor gathered = buffers_->Matrix(gathered_, examples);
    std::copy_n(pass.batch.offsets.begin(), examples, first_rows_.begin());
    GatherRows(*pass.device, hidden, FirstRows(pass), gathered);
    if (first_ != gathered_) Convert(*pass.device, gathered, first);
    Drop(pass, InputDropout(pass), first);
    Linear(pass, {first, at_.dense_weight, dense, {}});
    ActivationForward(*pass.device,
                      {Activation::kTanh, dense, pass.Vector(at_.dense_bias, channels), pooled});
    Drop(pass, PooledDropout(pass), pooled);
    Linear(pass, {pooled, at_.label_weight, logits, pass.Vector(at_.label_bias, labels_)});
    return logits;
  }

  void Backward(const Pass& pass, const Tensor& d_logits, const Tensor& d_hidden) {
    const int64_t examples = pass.batch.example_count(), channels = config_.hidden_size;
    const Tensor first = buffers_->Matrix(first_, examples), dense = buffers_->Matrix(dense_, examples);
    const Tensor pooled = buffers_->Matrix(pooled_, examples),
                 d_pooled = buffers_->Matrix(d_pooled_, examples);
    AddColumnSums(*pass.device, d_logits, pass.VectorGradient(at_.label_bias, labels_));
    LinearBackward(pass, {pooled, d_logits, at_.label_weight, d_pooled});
    Drop(pass, PooledDropout(pass), d_pooled);
    ActivationBackwardArgs tanh;
    tanh.activation = Activation::kTanh;
    tanh.x = dense;
    tanh.bias = pass.Vector(at_.dense_bias, channels);
    tanh.d_y = d_pooled;
    tanh.d_x = d_pooled;
    tanh.d_bias = pass.VectorGradient(at_.dense_bias, channels);
    ActivationBackward(*pass.device, tanh);
    // `pooled` is free by now.
    LinearBackward(pass, {first, d_pooled, at_.dense_weight, pooled});
    Drop(pass, InputDropout(pass), pooled);
    // So is `gathered`, where it is not `first`.
    const Tensor d_rows = first_ != gathered_ ? buffers_->Matrix(gathered_, examples) : pooled;
    if (first_ != gathered_) Convert(*pass.device, pooled, d_rows);
    ScatterRows(*pass.device, d_rows, FirstRows(pass), d_hidden);
  }

  // The sum over the examples. `d_logits` may be `logits`, or none.
  LossSum Loss(const Pass& pass, const Tensor& logits, const Tensor& d_logits) const {
    const int64_t examples = pass.batch.example_count();
    if (config_.task == TASK_TEXT_CLASSIFICATION) {
      CrossEntropyArgs args;
      args.logits = logits;
      args.labels = ConstTensor(pass.batch.classes.data(), {examples});
      args.d_logits = d_logits;
      return CrossEntropy(*pass.device, args);
    }
    const ConstTensor targets(pass.batch.targets.data(), {examples, labels_});
    if (config_.task == TASK_TEXT_REGRESSION)
      return MeanSquaredError(*pass.device, {logits, targets, 1, d_logits});
    return SigmoidCrossEntropy(*pass.device, {logits, targets, 1, d_logits});
  }

  const ModelConfig& config_;
  const HeadOffsets& at_;
  BufferSet* const buffers_;
  const int64_t labels_;
  int gathered_;  // first tokens' rows, of the activations' type
  int first_, dense_, pooled_, d_pooled_, logits_;
  std::vector<int32_t> first_rows_;
};

}  // namespace

std::unique_ptr<Head> MakeClassificationHead(const ModelPlan& plan) {
  return std::make_unique<ClassificationHead>(plan);
}

}  // namespace shoal
