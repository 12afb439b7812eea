#include <cstdint>
#include <vector>

#include "common/base/status.h"
#include "kernels/elementwise.h"
#include "kernels/embedding.h"
#include "model/layers/head.h"
#include "model/layers/linear.h"

namespace shoal::model {
namespace {

class TokenClassificationHead : public Head {
 public:
  TokenClassificationHead(const LayerPlan& plan, const TokenClassificationHeadSpec& spec)
      : dropout_(spec.dropout), labels_map_(spec.labels) {
    const int64_t tokens = plan.limits.tokens;
    features_ = plan.Add(Use::kKept, tokens, labels_map_.in());
    if (plan.activations != kernels::DType::kF32)
      d_features_ = plan.Add(Use::kBackward, tokens, labels_map_.in());
    logits_ = plan.Add(Use::kKept, tokens, labels_map_.out());
    labelled_logits_ = plan.Add(Use::kForward, tokens, labels_map_.out());
    labelled_.reserve(static_cast<size_t>(tokens));
  }

  kernels::LossSum Train(const Pass& pass, const kernels::ConstTensor& hidden,
                         const kernels::Tensor& d_hidden) override {
    const kernels::Tensor logits = Forward(pass, hidden);
    const kernels::LossSum loss = Loss(pass, logits, logits);
    const bool converts = d_hidden.type() != kernels::DType::kF32;
    const kernels::Tensor d_features = converts ? d_features_.Matrix(pass.tokens()) : d_hidden;
    labels_map_.BackwardBias(pass, logits);
    labels_map_.BackwardWeight(pass, features_.Matrix(pass.tokens()), logits);
    labels_map_.BackwardInput(pass, logits, d_features);
    Drop(pass, HeadDropout(pass), d_features);
    if (converts) kernels::Convert(*pass.device, d_features, d_hidden);
    return loss;
  }

  kernels::LossSum Evaluate(const Pass& pass, const kernels::ConstTensor& hidden,
                            absl::Span<float> out) override {
    const kernels::Tensor logits = Forward(pass, hidden);
    if (!out.empty()) CopyLabelled(pass, logits, out);
    return pass.batch.classes.empty() ? kernels::LossSum() : Loss(pass, logits, {});
  }

 private:
  kernels::Dropout HeadDropout(const Pass& pass) const { return DropoutAt(pass, dropout_, "head"); }

  // Returns the logits. All but `hidden` is f32.
  kernels::Tensor Forward(const Pass& pass, const kernels::ConstTensor& hidden) {
    const kernels::Tensor features = features_.Matrix(pass.tokens()), logits = logits_.Matrix(pass.tokens());
    kernels::Convert(*pass.device, hidden, features);
    Drop(pass, HeadDropout(pass), features);
    labels_map_.Forward(pass, features, logits);
    return logits;
  }

  // `d_logits` may be `logits`, or empty.
  static kernels::LossSum Loss(const Pass& pass, const kernels::Tensor& logits,
                               const kernels::Tensor& d_logits) {
    kernels::CrossEntropyArgs args;
    args.logits = logits;
    args.labels = kernels::ViewOf(pass.batch.classes);
    args.d_logits = d_logits;
    return kernels::CrossEntropy(*pass.device, args);
  }

  // Of the tokens that have a label, or of all in a batch without labels.
  void CopyLabelled(const Pass& pass, const kernels::Tensor& logits, absl::Span<float> out) {
    if (pass.batch.classes.empty()) {
      SHOAL_CHECK(static_cast<int64_t>(out.size()) == logits.size());
      return kernels::CopyToHost(*pass.device, logits, out);
    }
    labelled_.clear();
    for (int32_t token = 0; token < static_cast<int32_t>(pass.tokens()); ++token) {
      if (pass.batch.classes[token] >= 0) labelled_.push_back(token);
    }
    const kernels::Tensor rows = labelled_logits_.Matrix(static_cast<int64_t>(labelled_.size()));
    SHOAL_CHECK(static_cast<int64_t>(out.size()) == rows.size());
    kernels::GatherRows(*pass.device, logits, kernels::ViewOf(absl::MakeConstSpan(labelled_)), rows);
    kernels::CopyToHost(*pass.device, rows, out);
  }

  const double dropout_;
  const Linear labels_map_;
  Buffer features_;    // what the labels are computed from
  Buffer d_features_;  // where the gradient of `hidden` is not f32
  Buffer logits_;      // of all tokens
  Buffer labelled_logits_;
  std::vector<int32_t> labelled_;  // tokens
};

}  // namespace

std::unique_ptr<Head> MakeHead(const LayerPlan& plan, const TokenClassificationHeadSpec& spec) {
  return std::make_unique<TokenClassificationHead>(plan, spec);
}

}  // namespace shoal::model
