// Heads that map each token to a few logits.
#include <cstdint>
#include <vector>

#include "common/base/status.h"
#include "common/base/target_kind.h"
#include "kernels/elementwise.h"
#include "kernels/embedding.h"
#include "model/layers/head.h"
#include "model/layers/linear.h"

namespace shoal::model {
namespace {

// logits = map(dropout(hidden)), of all tokens. All but `hidden` is f32.
class TokenHead : public Head {
 public:
  TokenHead(const LayerPlan& plan, double dropout, const LinearSpec& map) : dropout_(dropout), map_(map) {
    const int64_t tokens = plan.limits.tokens;
    features_ = plan.Add(Use::kKept, tokens, map_.in());
    if (plan.activations != kernels::DType::kF32) d_features_ = plan.Add(Use::kBackward, tokens, map_.in());
    logits_ = plan.Add(Use::kKept, tokens, map_.out());
  }

  kernels::LossSum Train(const Pass& pass, const kernels::ConstTensor& hidden,
                         const kernels::Tensor& d_hidden) override {
    const kernels::Tensor logits = Forward(pass, hidden);
    const kernels::LossSum loss = Loss(pass, logits, logits);
    const bool converts = d_hidden.type() != kernels::DType::kF32;
    const kernels::Tensor d_features = converts ? d_features_.Matrix(pass.tokens()) : d_hidden;
    map_.BackwardBias(pass, logits);
    map_.BackwardWeight(pass, features_.Matrix(pass.tokens()), logits);
    map_.BackwardInput(pass, logits, d_features);
    Drop(pass, HeadDropout(pass), d_features);
    if (converts) kernels::Convert(*pass.device, d_features, d_hidden);
    return loss;
  }

  kernels::LossSum Evaluate(const Pass& pass, const kernels::ConstTensor& hidden,
                            absl::Span<float> out) override {
    const kernels::Tensor logits = Forward(pass, hidden);
    if (!out.empty()) CopyLogits(pass, logits, out);
    return pass.batch.classes.empty() ? kernels::LossSum() : Loss(pass, logits, {});
  }

 protected:
  // `d_logits` may be `logits`, or empty.
  virtual kernels::LossSum Loss(const Pass& pass, const kernels::Tensor& logits,
                                const kernels::Tensor& d_logits) = 0;

  // Those that Evaluate gives; here all.
  virtual void CopyLogits(const Pass& pass, const kernels::Tensor& logits, absl::Span<float> out) {
    SHOAL_CHECK(static_cast<int64_t>(out.size()) == logits.size());
    kernels::CopyToHost(*pass.device, logits, out);
  }

 private:
  kernels::Dropout HeadDropout(const Pass& pass) const { return DropoutAt(pass, dropout_, "head"); }

  kernels::Tensor Forward(const Pass& pass, const kernels::ConstTensor& hidden) {
    const kernels::Tensor features = features_.Matrix(pass.tokens()), logits = logits_.Matrix(pass.tokens());
    kernels::Convert(*pass.device, hidden, features);
    Drop(pass, HeadDropout(pass), features);
    map_.Forward(pass, features, logits);
    return logits;
  }

  const double dropout_;
  const Linear map_;
  Buffer features_;    // what the logits are computed from
  Buffer d_features_;  // where the gradient of `hidden` is not f32
  Buffer logits_;
};

class TokenClassificationHead final : public TokenHead {
 public:
  TokenClassificationHead(const LayerPlan& plan, const TokenClassificationHeadSpec& spec)
      : TokenHead(plan, spec.dropout, spec.labels) {
    labelled_logits_ = plan.Add(Use::kForward, plan.limits.tokens, spec.labels.weight.rows);
    labelled_.reserve(static_cast<size_t>(plan.limits.tokens));
  }

 protected:
  kernels::LossSum Loss(const Pass& pass, const kernels::Tensor& logits,
                        const kernels::Tensor& d_logits) override {
    kernels::CrossEntropyArgs args = ClassLossArgs(pass);
    args.logits = logits;
    args.labels = kernels::ViewOf(pass.batch.classes);
    args.d_logits = d_logits;
    return kernels::CrossEntropy(*pass.device, args);
  }

  // Of the tokens that have a label, or of all in a batch without labels.
  void CopyLogits(const Pass& pass, const kernels::Tensor& logits, absl::Span<float> out) override {
    if (pass.batch.classes.empty()) return TokenHead::CopyLogits(pass, logits, out);
    labelled_.clear();
    for (int32_t token = 0; token < static_cast<int32_t>(pass.tokens()); ++token) {
      if (pass.batch.classes[token] >= 0) labelled_.push_back(token);
    }
    const kernels::Tensor rows = labelled_logits_.Matrix(static_cast<int64_t>(labelled_.size()));
    SHOAL_CHECK(static_cast<int64_t>(out.size()) == rows.size());
    kernels::GatherRows(*pass.device, logits, kernels::ViewOf(absl::MakeConstSpan(labelled_)), rows);
    kernels::CopyToHost(*pass.device, rows, out);
  }

 private:
  Buffer labelled_logits_;
  std::vector<int32_t> labelled_;  // tokens
};

class SpanHead final : public TokenHead {
 public:
  SpanHead(const LayerPlan& plan, const SpanHeadSpec& spec) : TokenHead(plan, spec.dropout, spec.ends) {
    ends_.reserve(static_cast<size_t>(plan.limits.examples) * kEnds);
  }

 protected:
  kernels::LossSum Loss(const Pass& pass, const kernels::Tensor& logits,
                        const kernels::Tensor& d_logits) override {
    FindEnds(pass.batch);
    kernels::RowChoiceArgs args;
    args.logits = logits;
    args.offsets = kernels::ViewOf(pass.batch.offsets);
    args.labels = kernels::ViewOf(absl::MakeConstSpan(ends_));
    args.d_logits = d_logits;
    return kernels::RowChoiceCrossEntropy(*pass.device, args);
  }

 private:
  static constexpr int64_t kEnds = 2;

  // The first and the last token of each example's span, from the example's first token.
  void FindEnds(const Batch& batch) {
    ends_.assign(static_cast<size_t>(batch.example_count() * kEnds), 0);
    for (int64_t b = 0; b < batch.example_count(); ++b) {
      for (int32_t token = batch.offsets[b]; token < batch.offsets[b + 1]; ++token) {
        const int32_t label = batch.classes[token], place = token - batch.offsets[b];
        if (label >= 0 && (label & kSpanFirst) != 0) ends_[b * kEnds] = place;
        if (label >= 0 && (label & kSpanLast) != 0) ends_[b * kEnds + 1] = place;
      }
    }
  }

  std::vector<int32_t> ends_;  // [examples,2]
};

}  // namespace

std::unique_ptr<Head> MakeHead(const LayerPlan& plan, const TokenClassificationHeadSpec& spec) {
  return std::make_unique<TokenClassificationHead>(plan, spec);
}

std::unique_ptr<Head> MakeHead(const LayerPlan& plan, const SpanHeadSpec& spec) {
  return std::make_unique<SpanHead>(plan, spec);
}

}  // namespace shoal::model
