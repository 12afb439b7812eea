#include <cstdint>
#include <vector>

#include "kernels/activation.h"
#include "kernels/embedding.h"
#include "kernels/linear.h"
#include "kernels/token_ids.h"
#include "model/layers/head.h"
#include "model/layers/norm.h"
#include "model/layers/vocabulary_output.h"

namespace shoal::model {
namespace {

// All rows are those of the tokens that have a label, M of them.
class MaskedLanguageModelHead : public Head {
 public:
  MaskedLanguageModelHead(const LayerPlan& plan, const MaskedLanguageModelHeadSpec& spec)
      : activation_(spec.activation),
        dense_(spec.dense),
        features_(plan.AddActivation(Use::kKept, dense_.in())),
        product_(plan.AddActivation(Use::kKept, dense_.out())),
        normal_(plan.AddActivation(Use::kKept, dense_.out())),
        d_normal_(plan.AddActivation(Use::kBackward, dense_.out())),
        d_features_(plan.AddActivation(Use::kBackward, dense_.in())),
        norm_(plan, spec.norm, plan.AddActivation(Use::kKept, dense_.out())),
        output_(plan, {spec.words, spec.bias}) {
    rows_.reserve(static_cast<size_t>(plan.limits.tokens));
    labels_.reserve(static_cast<size_t>(plan.limits.tokens));
  }

  kernels::LossSum Train(const Pass& pass, const kernels::ConstTensor& hidden,
                         const kernels::Tensor& d_hidden) override {
    ChooseLabelled(pass.batch.classes);
    // The gradients of a batch without labels are zeros, which one row without a label gives.
    if (rows_.empty()) Add(0, kernels::kNoLabel);
    const Pass rows = OfRows(pass);
    const kernels::Tensor normal = Forward(rows, hidden), d_normal = d_normal_.Matrix(count());
    const kernels::LossSum loss =
        output_.Train(rows, normal, kernels::ViewOf(absl::MakeConstSpan(labels_)), d_normal);
    Norm::Gradients gradients;
    gradients.d_y = d_normal;
    gradients.d_sum = d_normal;
    norm_.Backward(rows, gradients);
    BackwardDense(rows, d_normal);
    kernels::ScatterRows(*pass.device, d_features_.Matrix(count()), RowView(), d_hidden);
    return loss;
  }

  kernels::LossSum Evaluate(const Pass& pass, const kernels::ConstTensor& hidden,
                            absl::Span<float> out) override {
    const bool labelled = !pass.batch.classes.empty();
    if (labelled) {
      ChooseLabelled(pass.batch.classes);
    } else {
      ChooseAll(pass.tokens());
    }
    if (rows_.empty()) return {};
    const Pass rows = OfRows(pass);
    const kernels::ConstTensor labels =
        labelled ? kernels::ViewOf(absl::MakeConstSpan(labels_)) : kernels::ConstTensor();
    return output_.Evaluate(rows, Forward(rows, hidden), labels, out);
  }

 private:
  void Add(int32_t row, int32_t label) {
    rows_.push_back(row);
    labels_.push_back(label);
  }
  void ChooseLabelled(absl::Span<const int32_t> classes) {
    rows_.clear();
    labels_.clear();
    for (size_t token = 0; token < classes.size(); ++token) {
      if (classes[token] >= 0) Add(static_cast<int32_t>(token), classes[token]);
    }
  }
  void ChooseAll(int64_t tokens) {
    rows_.clear();
    labels_.clear();
    for (int64_t token = 0; token < tokens; ++token) Add(static_cast<int32_t>(token), kernels::kNoLabel);
  }

  int64_t count() const { return static_cast<int64_t>(rows_.size()); }
  kernels::ConstTensor RowView() const { return kernels::ViewOf(absl::MakeConstSpan(rows_)); }
  // The same pass over the chosen rows.
  Pass OfRows(Pass pass) const {
    pass.batch.tokens = pass.batch.tokens.first(rows_.size());
    return pass;
  }

  kernels::Tensor Forward(const Pass& rows, const kernels::ConstTensor& hidden) const {
    const kernels::Tensor features = features_.Matrix(count()), normal = normal_.Matrix(count());
    kernels::GatherRows(*rows.device, hidden, RowView(), features);
    kernels::LinearActivationArgs args;
    args.x = features;
    args.weight = dense_.weight(rows);
    args.bias = dense_.bias(rows);
    args.activation = activation_;
    args.product = product_.Matrix(count());
    args.y = norm_.sum(count());
    kernels::LinearActivation(*rows.device, args);
    norm_.Forward(rows, normal);
    return normal;
  }

  // `d_y`: the gradient of the activations; overwritten.
  void BackwardDense(const Pass& rows, const kernels::Tensor& d_y) const {
    kernels::ActivationBackwardArgs args;
    args.activation = activation_;
    args.x = product_.Matrix(count());
    args.bias = dense_.bias(rows);
    args.d_y = d_y;
    args.d_x = d_y;
    args.d_bias = dense_.bias_gradient(rows);
    kernels::ActivationBackward(*rows.device, args);
    dense_.BackwardWeight(rows, features_.Matrix(count()), d_y);
    dense_.BackwardInput(rows, d_y, d_features_.Matrix(count()));
  }

  const kernels::Activation activation_;
  const Linear dense_;
  const Buffer features_;  // the chosen rows of the stack's output
  const Buffer product_;   // dense, before bias and activation
  const Buffer normal_;    // normalized
  const Buffer d_normal_, d_features_;
  const Norm norm_;
  const VocabularyOutput output_;
  std::vector<int32_t> rows_, labels_;  // [M]: tokens, and their labels
};

}  // namespace

std::unique_ptr<Head> MakeHead(const LayerPlan& plan, const MaskedLanguageModelHeadSpec& spec) {
  return std::make_unique<MaskedLanguageModelHead>(plan, spec);
}

}  // namespace shoal::model
