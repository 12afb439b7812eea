#include "model/layers/embedding.h"

#include "common/base/status.h"
#include "kernels/elementwise.h"

namespace shoal {

Embedding::Embedding(const LayerPlan& plan, const EmbeddingSpec& spec)
    : spec_(spec),
      d_x_(plan.AddActivation(Use::kBackward, spec.words.columns)),
      d_sum_(plan.AddActivation(Use::kBackward, spec.words.columns)),
      positions_(plan.limits.tokens),
      no_types_(plan.limits.tokens) {
  if (spec.norm) norm_.emplace(plan, *spec.norm, plan.AddActivation(Use::kKept, spec.words.columns));
}

void Embedding::Number(const Batch& batch) {
  const int64_t longest = spec_.positions.rows - spec_.first_position;
  for (int64_t b = 0; b < batch.example_count(); ++b) {
    const int32_t begin = batch.offsets[b], end = batch.offsets[b + 1];
    SHOAL_CHECK(begin < end && end - begin <= longest);
    for (int32_t i = begin; i < end; ++i) {
      positions_[i] = static_cast<int32_t>(i - begin + spec_.first_position);
    }
  }
}

ConstTensor Embedding::Types(const Pass& pass) const {
  return {pass.batch.types.empty() ? no_types_.data() : pass.batch.types.data(), {pass.tokens()}};
}

void Embedding::Forward(const Pass& pass, const Tensor& x) {
  Number(pass.batch);
  const int64_t tokens = pass.tokens();
  EmbeddingForwardArgs args;
  args.token = {pass.Value(spec_.words), {pass.batch.tokens.data(), {tokens}}};
  args.position = {pass.Value(spec_.positions), {positions_.data(), {tokens}}};
  if (spec_.types) args.type = {pass.Value(*spec_.types), Types(pass)};
  args.y = norm_ ? norm_->sum(tokens) : x;
  EmbeddingForward(*pass.device, args);
  if (norm_) norm_->Forward(pass, x);
  Drop(pass, DropoutOf(pass), x);
}

ConstTensor Embedding::SumGradient(const Pass& pass, ConstTensor d_x, ConstTensor d_x_more) const {
  const Tensor scratch = d_x_.Matrix(pass.tokens());
  const Dropout dropout = DropoutOf(pass);
  if (d_x_more.present() && (dropout.rate > 0 || !norm_)) {
    Add(*pass.device, d_x, d_x_more, scratch);
    d_x = scratch;
    d_x_more = {};
  }
  if (dropout.rate > 0) {
    ApplyDropout(*pass.device, {dropout, d_x, {}, scratch});
    d_x = scratch;
  }
  if (!norm_) return d_x;
  const Tensor d_sum = d_sum_.Matrix(pass.tokens());
  norm_->Backward(pass, {d_x, d_x_more, {}, d_sum});
  return d_sum;
}

void Embedding::Backward(const Pass& pass, const ConstTensor& d_x, const ConstTensor& d_x_more) {
  const int64_t tokens = pass.tokens();
  const ConstTensor d_sum = SumGradient(pass, d_x, d_x_more);
  const auto table = [&](const MatrixParameter& rows, const ConstTensor& ids) {
    EmbeddingBackward(*pass.device, {ids, d_sum, pass.Gradient(rows)});
  };
  table(spec_.words, {pass.batch.tokens.data(), {tokens}});
  table(spec_.positions, {positions_.data(), {tokens}});
  if (spec_.types) table(*spec_.types, Types(pass));
}

}  // namespace shoal
