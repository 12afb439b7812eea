#include <cstdint>

#include "common/base/status.h"
#include "kernels/activation.h"
#include "kernels/elementwise.h"
#include "kernels/embedding.h"
#include "model/layers/head.h"
#include "model/layers/linear.h"

namespace shoal::model {
namespace {

class ClassificationHead : public Head {
 public:
  ClassificationHead(const LayerPlan& plan, const ClassificationHeadSpec& spec)
      : spec_(spec), dense_map_(spec.dense), labels_map_(spec.labels) {
    const int64_t examples = plan.limits.examples;
    gathered_ = plan.Add(Use::kKept, examples, dense_map_.in(), plan.activations);
    first_ = converts(plan.activations) ? plan.Add(Use::kKept, examples, dense_map_.in()) : gathered_;
    dense_ = plan.Add(Use::kKept, examples, dense_map_.out());
    pooled_ = plan.Add(Use::kKept, examples, dense_map_.out());
    d_pooled_ = plan.Add(Use::kBackward, examples, dense_map_.out());
    logits_ = plan.Add(Use::kKept, examples, labels_map_.out());
  }

  kernels::LossSum Train(const Pass& pass, const kernels::ConstTensor& hidden,
                         const kernels::Tensor& d_hidden) override {
    const kernels::Tensor logits = Forward(pass, hidden);
    const kernels::LossSum loss = Loss(pass, logits, logits);
    Backward(pass, logits, d_hidden);
    return loss;
  }

  kernels::LossSum Evaluate(const Pass& pass, const kernels::ConstTensor& hidden,
                            absl::Span<float> out) override {
    const kernels::Tensor logits = Forward(pass, hidden);
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
  kernels::Dropout PooledDropout(const Pass& pass) const {
    return DropoutOfExamples(pass, spec_.dropout, "head");
  }

  // Returns the logits.
  kernels::Tensor Forward(const Pass& pass, const kernels::ConstTensor& hidden) {
    const int64_t examples = pass.batch.example_count();
    const kernels::Tensor gathered = gathered_.Matrix(examples), first = first_.Matrix(examples);
    const kernels::Tensor dense = dense_.Matrix(examples), pooled = pooled_.Matrix(examples);
    const kernels::Tensor logits = logits_.Matrix(examples);
    kernels::GatherRows(*pass.device, hidden, FirstRows(pass), gathered);
    if (converts(gathered.type())) kernels::Convert(*pass.device, gathered, first);
    Drop(pass, InputDropout(pass), first);
    dense_map_.ForwardProduct(pass, first, dense);
    kernels::ActivationForward(*pass.device, {spec_.activation, dense, dense_map_.bias(pass), pooled});
    Drop(pass, PooledDropout(pass), pooled);
    labels_map_.Forward(pass, pooled, logits);
    return logits;
  }

  void Backward(const Pass& pass, const kernels::Tensor& d_logits, const kernels::Tensor& d_hidden) {
    const int64_t examples = pass.batch.example_count();
    const kernels::Tensor pooled = pooled_.Matrix(examples), d_pooled = d_pooled_.Matrix(examples);
    labels_map_.BackwardBias(pass, d_logits);
    labels_map_.BackwardWeight(pass, pooled, d_logits);
    labels_map_.BackwardInput(pass, d_logits, d_pooled);
    Drop(pass, PooledDropout(pass), d_pooled);
    kernels::ActivationBackwardArgs activation;
    activation.activation = spec_.activation;
    activation.x = dense_.Matrix(examples);
    activation.bias = dense_map_.bias(pass);
    activation.d_y = d_pooled;
    activation.d_x = d_pooled;
    activation.d_bias = dense_map_.bias_gradient(pass);
    kernels::ActivationBackward(*pass.device, activation);
    dense_map_.BackwardWeight(pass, first_.Matrix(examples), d_pooled);
    const kernels::Tensor d_first = pooled;  // free by now
    dense_map_.BackwardInput(pass, d_pooled, d_first);
    Drop(pass, InputDropout(pass), d_first);
    const kernels::Tensor gathered = gathered_.Matrix(examples);  // free too, unless it is first_
    if (converts(gathered.type())) kernels::Convert(*pass.device, d_first, gathered);
    kernels::ScatterRows(*pass.device, converts(gathered.type()) ? gathered : d_first, FirstRows(pass),
                         d_hidden);
  }

  // The sum over the examples. `d_logits` may be `logits`, or empty.
  kernels::LossSum Loss(const Pass& pass, const kernels::Tensor& logits,
                        const kernels::Tensor& d_logits) const {
    if (spec_.loss == LossKind::kCrossEntropy) {
      kernels::CrossEntropyArgs args;
      args.logits = logits;
      args.labels = kernels::ViewOf(pass.batch.classes);
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
  const Linear dense_map_, labels_map_;
  Buffer gathered_;  // the rows of the first tokens, in the activations' type
  Buffer first_, dense_, pooled_, d_pooled_, logits_;
};

}  // namespace

std::unique_ptr<Head> MakeHead(const LayerPlan& plan, const ClassificationHeadSpec& spec) {
  return std::make_unique<ClassificationHead>(plan, spec);
}

}  // namespace shoal::model
