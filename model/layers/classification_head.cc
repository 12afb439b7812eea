#include <cstdint>
#include <optional>

#include "common/base/status.h"
#include "kernels/activation.h"
#include "kernels/elementwise.h"
#include "kernels/embedding.h"
#include "model/layers/head.h"
#include "model/layers/linear.h"
#include "model/layers/ngram_bag.h"

namespace shoal::model {
namespace {

class ClassificationHead : public Head {
 public:
  ClassificationHead(const LayerPlan& plan, const ClassificationHeadSpec& spec)
      : spec_(spec), labels_map_(spec.labels) {
    const int64_t examples = plan.limits.examples;
    pooled_ = plan.Add(Use::kKept, examples, labels_map_.in(), plan.activations);
    first_ = converts(plan.activations) ? plan.Add(Use::kKept, examples, labels_map_.in()) : pooled_;
    features_ = first_;
    if (spec.dense) {
      dense_map_.emplace(*spec.dense);
      dense_ = plan.Add(Use::kKept, examples, dense_map_->out());
      features_ = plan.Add(Use::kKept, examples, dense_map_->out());
    }
    d_features_ = plan.Add(Use::kBackward, examples, labels_map_.in());
    logits_ = plan.Add(Use::kKept, examples, labels_map_.out());
    if (spec.ngrams) {
      SHOAL_CHECK(spec.loss == LossKind::kCrossEntropy && spec.ngrams->longest <= kMaxNgram);
      ngrams_.emplace(plan, *spec.ngrams);
      of_ngrams_ = plan.Add(Use::kForward, examples, labels_map_.out());
    }
  }

  kernels::LossSum Train(const Pass& pass, const kernels::ConstTensor& hidden,
                         const kernels::Tensor& d_hidden) override {
    const kernels::Tensor logits = Forward(pass, hidden);
    kernels::LossSum loss = Loss(pass, logits, logits);
    if (ngrams_) {
      const kernels::Tensor of_ngrams = NgramLogits(pass);
      loss.loss = (loss.loss + Loss(pass, of_ngrams, of_ngrams).loss) / 2;
      ngrams_->Backward(pass, of_ngrams);
    }
    Backward(pass, logits, d_hidden);
    return loss;
  }

  kernels::LossSum Evaluate(const Pass& pass, const kernels::ConstTensor& hidden,
                            absl::Span<float> out) override {
    const kernels::Tensor logits = Forward(pass, hidden);
    if (ngrams_) {
      kernels::Add(*pass.device, logits, NgramLogits(pass), logits);
      kernels::Scale(*pass.device, logits, 0.5f, logits);
    }
    SHOAL_CHECK(out.empty() || static_cast<int64_t>(out.size()) == logits.size());
    if (!out.empty()) kernels::CopyToHost(*pass.device, logits, out);
    if (pass.batch.classes.empty() && pass.batch.targets.empty()) return {};
    return Loss(pass, logits, {});
  }

 private:
  // The head computes in f32.
  static bool converts(kernels::DType activations) { return activations != kernels::DType::kF32; }
  // Where the examples begin.
  static kernels::ConstTensor FirstRows(const Pass& pass) {
    return kernels::ViewOf(pass.batch.offsets).Rows(0, pass.batch.example_count());
  }
  kernels::Dropout InputDropout(const Pass& pass) const {
    return DropoutOfExamples(pass, spec_.input_dropout, "head input");
  }
  kernels::Dropout FeatureDropout(const Pass& pass) const {
    return DropoutOfExamples(pass, spec_.dropout, "head");
  }

  // [N,C] to [B,C]
  void Pool(const Pass& pass, const kernels::ConstTensor& hidden, const kernels::Tensor& pooled) const {
    if (spec_.pooling == Pooling::kFirst)
      return kernels::GatherRows(*pass.device, hidden, FirstRows(pass), pooled);
    kernels::PoolRows(*pass.device, hidden, kernels::ViewOf(pass.batch.offsets), kernels::RowDivisor::kTokens,
                      pooled);
  }
  void PoolBackward(const Pass& pass, const kernels::ConstTensor& d_pooled,
                    const kernels::Tensor& d_hidden) const {
    if (spec_.pooling == Pooling::kFirst)
      return kernels::ScatterRows(*pass.device, d_pooled, FirstRows(pass), d_hidden);
    kernels::PoolRowsBackward(*pass.device, d_pooled, kernels::ViewOf(pass.batch.offsets),
                              kernels::RowDivisor::kTokens, d_hidden);
  }

  void DenseForward(const Pass& pass, const kernels::Tensor& first, const kernels::Tensor& features) {
    const kernels::Tensor dense = dense_.Matrix(first.dim(0));
    Drop(pass, InputDropout(pass), first);
    dense_map_->ForwardProduct(pass, first, dense);
    kernels::ActivationForward(*pass.device, {spec_.activation, dense, dense_map_->bias(pass), features});
  }
  // `d_features` in; its contents are undefined afterwards. `d_first` out.
  void DenseBackward(const Pass& pass, const kernels::Tensor& d_features, const kernels::Tensor& d_first) {
    kernels::ActivationBackwardArgs activation;
    activation.activation = spec_.activation;
    activation.x = dense_.Matrix(d_features.dim(0));
    activation.bias = dense_map_->bias(pass);
    activation.d_y = d_features;
    activation.d_x = d_features;
    activation.d_bias = dense_map_->bias_gradient(pass);
    kernels::ActivationBackward(*pass.device, activation);
    dense_map_->BackwardWeight(pass, first_.Matrix(d_features.dim(0)), d_features);
    dense_map_->BackwardInput(pass, d_features, d_first);
    Drop(pass, InputDropout(pass), d_first);
  }

  // Returns the logits.
  kernels::Tensor Forward(const Pass& pass, const kernels::ConstTensor& hidden) {
    const int64_t examples = pass.batch.example_count();
    const kernels::Tensor pooled = pooled_.Matrix(examples), first = first_.Matrix(examples);
    const kernels::Tensor features = features_.Matrix(examples), logits = logits_.Matrix(examples);
    Pool(pass, hidden, pooled);
    if (converts(pooled.type())) kernels::Convert(*pass.device, pooled, first);
    if (dense_map_) DenseForward(pass, first, features);
    Drop(pass, FeatureDropout(pass), features);
    labels_map_.Forward(pass, features, logits);
    return logits;
  }

  kernels::Tensor NgramLogits(const Pass& pass) {
    const kernels::Tensor logits = of_ngrams_.Matrix(pass.batch.example_count());
    ngrams_->Forward(pass, logits);
    return logits;
  }

  void Backward(const Pass& pass, const kernels::Tensor& d_logits, const kernels::Tensor& d_hidden) {
    const int64_t examples = pass.batch.example_count();
    const kernels::Tensor features = features_.Matrix(examples), d_features = d_features_.Matrix(examples);
    labels_map_.BackwardBias(pass, d_logits);
    labels_map_.BackwardWeight(pass, features, d_logits);
    labels_map_.BackwardInput(pass, d_logits, d_features);
    Drop(pass, FeatureDropout(pass), d_features);
    kernels::Tensor d_first = d_features;
    if (dense_map_) {
      d_first = features;  // free by now
      DenseBackward(pass, d_features, d_first);
    }
    const kernels::Tensor pooled = pooled_.Matrix(examples);  // free too, unless it is first_
    if (converts(pooled.type())) kernels::Convert(*pass.device, d_first, pooled);
    PoolBackward(pass, converts(pooled.type()) ? pooled : d_first, d_hidden);
  }

  // The sum over the examples. `d_logits` may be `logits`, or empty.
  kernels::LossSum Loss(const Pass& pass, const kernels::Tensor& logits,
                        const kernels::Tensor& d_logits) const {
    if (spec_.loss == LossKind::kCrossEntropy) {
      kernels::CrossEntropyArgs args = ClassLossArgs(pass);
      args.logits = logits;
      args.labels = kernels::ViewOf(pass.batch.classes);
      args.scale = ngrams_ ? 0.5f : 1.0f;
      args.d_logits = d_logits;
      return kernels::CrossEntropy(*pass.device, args);
    }
    const kernels::ConstTensor targets =
        kernels::ViewOf(pass.batch.targets).Reshape({pass.batch.example_count(), labels_map_.out()});
    if (spec_.loss == LossKind::kSquaredError)
      return kernels::MeanSquaredError(*pass.device, {logits, targets, 1, d_logits});
    return kernels::SigmoidCrossEntropy(*pass.device, {logits, targets, 1, d_logits});
  }

  const ClassificationHeadSpec spec_;
  std::optional<Linear> dense_map_;
  const Linear labels_map_;
  std::optional<NgramBag> ngrams_;
  Buffer pooled_;    // in the activations' type
  Buffer first_;     // the same in f32
  Buffer dense_;     // dense(first), without its bias
  Buffer features_;  // what the labels are computed from
  Buffer d_features_, logits_, of_ngrams_;
};

}  // namespace

std::unique_ptr<Head> MakeHead(const LayerPlan& plan, const ClassificationHeadSpec& spec) {
  return std::make_unique<ClassificationHead>(plan, spec);
}

}  // namespace shoal::model
