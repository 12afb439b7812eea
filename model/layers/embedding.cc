#include "model/layers/embedding.h"

#include "common/base/philox.h"
#include "kernels/elementwise.h"
#include "kernels/perturbation.h"
#include "kernels/token_ids.h"

namespace shoal::model {

Embedding::Embedding(const LayerPlan& plan, const EmbeddingSpec& spec)
    : spec_(spec),
      d_x_(plan.AddActivation(Use::kBackward, spec.words.columns)),
      d_sum_(plan.AddActivation(Use::kBackward, spec.words.columns)),
      positions_(plan.Add(Use::kKept, plan.limits.tokens, 1, kernels::DType::kI32)),
      no_types_(plan.Add(Use::kKept, plan.limits.tokens, 1, kernels::DType::kI32)),
      perturbation_(plan.adversarial ? plan.AddOfWholePass(plan.limits.tokens, spec.words.columns)
                                     : Buffer()) {
  if (spec.norm) norm_.emplace(plan, *spec.norm, plan.AddActivation(Use::kKept, spec.words.columns));
}

kernels::ConstTensor Embedding::Positions(const Pass& pass) const { return positions_.Vector(pass.tokens()); }

kernels::ConstTensor Embedding::Types(const Pass& pass) const {
  return pass.batch.types.empty() ? no_types_.Vector(pass.tokens()) : kernels::ViewOf(pass.batch.types);
}

void Embedding::SetIds(const Pass& pass) const {
  kernels::TokenPositionsArgs args;
  args.offsets = kernels::ViewOf(pass.batch.offsets);
  args.first = spec_.first_position;
  args.longest = spec_.positions.rows - spec_.first_position;
  args.positions = positions_.Vector(pass.tokens());
  kernels::TokenPositions(*pass.device, args);
  if (spec_.types && pass.batch.types.empty())
    kernels::SetZero(*pass.device, no_types_.Vector(pass.tokens()));
}

void Embedding::Forward(const Pass& pass, const kernels::Tensor& x) {
  SetIds(pass);
  kernels::EmbeddingForwardArgs args;
  args.tables[0] = {pass.Value(spec_.words), kernels::ViewOf(pass.batch.tokens)};
  args.tables[1] = {pass.Value(spec_.positions), Positions(pass)};
  if (spec_.types) args.tables[2] = {pass.Value(*spec_.types), Types(pass)};
  args.y = norm_ ? norm_->sum(pass.tokens()) : x;
  kernels::EmbeddingForward(*pass.device, args);
  if (pass.adversary != nullptr) Perturb(pass, args.y);
  if (spec_.scale != 1) kernels::Scale(*pass.device, args.y, static_cast<float>(spec_.scale), args.y);
  if (norm_) norm_->Forward(pass, x);
  Drop(pass, DropoutOf(pass), x);
}

void Embedding::Perturb(const Pass& pass, const kernels::Tensor& sum) const {
  const kernels::Tensor perturbation = perturbation_.Matrix(pass.tokens());
  if (pass.ascent == 0 && pass.adversary->random_start) {
    kernels::RandomPerturbation(*pass.device, DeriveKey(pass.dropout.key, "perturbation"),
                                pass.dropout.first_token, kernels::ViewOf(pass.batch.offsets),
                                pass.adversary->radius, perturbation);
  } else if (pass.ascent == 0) {
    return kernels::SetZero(*pass.device, perturbation);
  }
  kernels::AddPerturbation(*pass.device, perturbation, sum);
}

kernels::ConstTensor Embedding::SumGradient(const Pass& pass, kernels::ConstTensor d_x,
                                            kernels::ConstTensor d_x_more) const {
  const kernels::Tensor scratch = d_x_.Matrix(pass.tokens());
  const kernels::Dropout dropout = DropoutOf(pass);
  if (d_x_more.present() && (dropout.rate > 0 || !norm_)) {
    kernels::Add(*pass.device, d_x, d_x_more, scratch);
    d_x = scratch;
    d_x_more = {};
  }
  if (dropout.rate > 0) {
    kernels::ApplyDropout(*pass.device, {dropout, d_x, {}, scratch});
    d_x = scratch;
  }
  if (!norm_) return d_x;
  const kernels::Tensor d_sum = d_sum_.Matrix(pass.tokens());
  norm_->Backward(pass, {d_x, d_x_more, {}, d_sum});
  return d_sum;
}

void Embedding::Backward(const Pass& pass, const kernels::ConstTensor& d_x,
                         const kernels::ConstTensor& d_x_more) {
  kernels::ConstTensor d_sum = SumGradient(pass, d_x, d_x_more);
  if (spec_.scale != 1) {
    const kernels::Tensor scaled = d_sum_.Matrix(pass.tokens());
    kernels::Scale(*pass.device, d_sum, static_cast<float>(spec_.scale), scaled);
    d_sum = scaled;
  }
  if (pass.adversary != nullptr) {
    kernels::StepPerturbation(*pass.device, {d_sum, kernels::ViewOf(pass.batch.offsets), pass.adversary->step,
                                             pass.adversary->radius, perturbation_.Matrix(pass.tokens())});
  }
  const auto table = [&](const MatrixParameter& rows, const kernels::ConstTensor& ids) {
    if (pass.Trains(rows)) kernels::EmbeddingBackward(*pass.device, {ids, d_sum, pass.Gradient(rows)});
  };
  table(spec_.words, kernels::ViewOf(pass.batch.tokens));
  table(spec_.positions, Positions(pass));
  if (spec_.types) table(*spec_.types, Types(pass));
}

}  // namespace shoal::model
