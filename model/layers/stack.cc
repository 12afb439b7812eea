#include "model/layers/stack.h"

#include <algorithm>
#include <variant>

#include "model/layers/attention.h"
#include "model/layers/mlp.h"

namespace shoal::model {
namespace {

std::unique_ptr<Branch> MakeBranch(const LayerPlan& plan, const AttentionSpec& spec) {
  return std::make_unique<Attention>(plan, spec);
}
std::unique_ptr<Branch> MakeBranch(const LayerPlan& plan, const MlpSpec& spec) {
  return std::make_unique<Mlp>(plan, spec);
}

}  // namespace

Stack::Stack(const LayerPlan& plan, const StackSpec& spec) {
  const int64_t hidden = spec.sublayers.front().norm.weight.size;
  const int backward = plan.head + 1, end = plan.At(0).backward_step();
  const auto in_training = [&](int first, int last) {
    return plan.training ? plan.AddActivation({first, last}, hidden) : Buffer();
  };
  input_ = plan.AddActivation({0, plan.training ? end - 1 : 1}, hidden);
  output_ = plan.AddActivation({1, plan.head}, hidden);
  recomputed_ = in_training(backward, end - 1);
  d_input_ = in_training(plan.head, end);
  d_residual_ = in_training(backward, end);
  d_branch_ = in_training(backward, end - 1);
  int step = 0;
  for (const SublayerSpec& sublayer : spec.sublayers) {
    const LayerPlan at = plan.At(++step);
    const auto make = [&](const auto& branch) { return MakeBranch(at, branch); };
    sublayers_.push_back({std::visit(make, sublayer.branch), sublayer.dropout});
  }
  AddNorms(plan, spec);
}

void Stack::AddNorms(const LayerPlan& plan, const StackSpec& spec) {
  std::vector<NormSpec> norms;
  for (const SublayerSpec& sublayer : spec.sublayers) norms.push_back(sublayer.norm);
  if (spec.placement == NORM_PLACEMENT_PRE) norms.push_back(*spec.last_norm);
  int step = static_cast<int>(spec.sublayers.size()) - static_cast<int>(norms.size());  // -1: one leads
  for (const NormSpec& norm : norms) {
    const LayerPlan at = plan.At(std::max(1, ++step));
    // The next sub-layer may take the sum as its residual.
    const int until = plan.training ? at.backward_step() : at.step + 1;
    norms_.emplace_back(at, norm,
                        step == 0 ? input_ : plan.AddActivation({at.step, until}, norm.weight.size));
  }
}

kernels::Tensor Stack::SublayerInput(const Pass& pass, size_t sublayer) const {
  return (NormInFront(sublayer) == nullptr ? input_ : output_).Matrix(pass.tokens());
}

kernels::Tensor Stack::RecomputedInput(const Pass& pass, size_t sublayer) const {
  const Norm* const norm = NormInFront(sublayer);
  if (norm == nullptr) return input_.Matrix(pass.tokens());
  const kernels::Tensor x = recomputed_.Matrix(pass.tokens());
  norm->Forward(pass, x);
  return x;
}

ResidualSum Stack::SumOf(const Pass& pass, size_t sublayer, const kernels::ConstTensor& x) const {
  ResidualSum sum;
  sum.linear = &sublayers_[sublayer].branch->out();
  sum.x = x;
  sum.residual = pre_norm() ? NormInFront(sublayer)->sum(pass.tokens()) : SublayerInput(pass, sublayer);
  sum.dropout = DropoutAt(pass, sublayers_[sublayer].dropout, "sublayer", static_cast<int64_t>(sublayer));
  return sum;
}

bool Stack::Forward(const Pass& pass, ReadyGroup ready) {
  const kernels::Tensor y = output_.Matrix(pass.tokens());
  if (pre_norm()) {
    if (!ready(norms_[0].group())) return false;
    norms_[0].Forward(pass, y);
  }
  for (size_t i = 0; i < sublayers_.size(); ++i) {
    Branch& branch = *sublayers_[i].branch;
    if (!ready(std::max(branch.out().group(), NormBehind(i).group()))) return false;
    const kernels::ConstTensor x = branch.Forward(pass, SublayerInput(pass, i));
    NormBehind(i).Forward(pass, SumOf(pass, i, x), y);
  }
  return true;
}

Stack::InputGradient Stack::Backward(const Pass& pass, BeginGroup begin) {
  const kernels::Tensor d_input = d_input_.Matrix(pass.tokens()),
                        d_residual = d_residual_.Matrix(pass.tokens());
  Norm::Gradients gradients;
  gradients.d_y = d_input;
  gradients.d_sum = d_residual;
  for (size_t i = sublayers_.size(); i-- > 0;) {
    if (NormBehind(i).group() < pass.first_trainable_group()) return {};
    begin(NormBehind(i).group());
    const kernels::ConstTensor d_branch =
        NormBehind(i).Backward(pass, SumOf(pass, i, {}), gradients, d_branch_.Matrix(pass.tokens()));
    begin(sublayers_[i].branch->out().group());
    sublayers_[i].branch->Backward(pass, RecomputedInput(pass, i), d_branch, d_input);
    // The residual is the input of the norm in front, or its output.
    (pre_norm() ? gradients.d_sum_more : gradients.d_y_more) = d_residual;
  }
  if (!pre_norm()) return {d_input, d_residual};
  if (norms_[0].group() < pass.first_trainable_group()) return {};
  begin(norms_[0].group());
  norms_[0].Backward(pass, gradients);
  return {d_residual, {}};
}

}  // namespace shoal::model
