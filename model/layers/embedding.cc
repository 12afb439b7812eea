#include "model/layers/embedding.h"

#include "kernels/elementwise.h"
#include "kernels/token_ids.h"

namespace shoal {

Embedding::Embedding(const LayerPlan& plan, const EmbeddingSpec& spec)
    : spec_(spec),
      d_x_(plan.AddActivation(Use::kBackward, spec.words.columns)),
      d_sum_(plan.AddActivation(Use::kBackward, spec.words.columns)),
      positions_(plan.Add(Use::kKept, plan.limits.tokens, 1, DType::kI32)),
      no_types_(plan.Add(Use::kKept, plan.limits.tokens, 1, DType::kI32)) {
  if (spec.norm) norm_.emplace(plan, *spec.norm, plan.AddActivation(Use::kKept, spec.words.columns));
}

ConstTensor Embedding::Positions(const Pass& pass) const { return positions_.Vector(pass.tokens()); }

ConstTensor Embedding::Types(const Pass& pass) const {
  return pass.batch.types.empty() ? no_types_.Vector(pass.tokens()) : ViewOf(pass.batch.types);
}

void Embedding::SetIds(const Pass& pass) const {
  TokenPositionsArgs args;
  args.offsets = ViewOf(pass.batch.offsets);
  args.first = spec_.first_position;
  args.longest = spec_.positions.rows - spec_.first_position;
  args.positions = positions_.Vector(pass.tokens());
  TokenPositions(*pass.device, args);
  if (spec_.types && pass.batch.types.empty()) SetZero(*pass.device, no_types_.Vector(pass.tokens()));
}

void Embedding::Forward(const Pass& pass, const Tensor& x) {
  SetIds(pass);
  EmbeddingForwardArgs args;
  args.token = {pass.Value(spec_.words), ViewOf(pass.batch.tokens)};
  args.position = {pass.Value(spec_.positions), Positions(pass)};
  if (spec_.types) args.type = {pass.Value(*spec_.types), Types(pass)};
  args.y = norm_ ? norm_->sum(pass.tokens()) : x;
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
  const ConstTensor d_sum = SumGradient(pass, d_x, d_x_more);
  const auto table = [&](const MatrixParameter& rows, const ConstTensor& ids) {
    EmbeddingBackward(*pass.device, {ids, d_sum, pass.Gradient(rows)});
  };
  table(spec_.words, ViewOf(pass.batch.tokens));
  table(spec_.positions, Positions(pass));
  if (spec_.types) table(*spec_.types, Types(pass));
}

}  // namespace shoal
