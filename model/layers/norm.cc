#include "model/layers/norm.h"

#include "kernels/linear.h"

namespace shoal::model {

Norm::Norm(const LayerPlan& plan, const NormSpec& spec, Buffer sum)
    : spec_(spec),
      sum_(sum),
      mean_(plan.Add(Use::kKept, plan.limits.tokens, 1)),
      rstd_(plan.Add(Use::kKept, plan.limits.tokens, 1)) {}

kernels::NormForwardArgs Norm::ForwardArgs(const Pass& pass, const kernels::Tensor& y) const {
  kernels::NormForwardArgs args;
  args.x = sum(pass.tokens());
  args.gamma = pass.Value(spec_.weight);
  args.beta = pass.Value(spec_.bias);
  args.epsilon = static_cast<float>(spec_.epsilon);
  args.y = y;
  args.mean = mean_.Vector(pass.tokens());
  args.rstd = rstd_.Vector(pass.tokens());
  return args;
}

void Norm::Forward(const Pass& pass, const kernels::Tensor& y) const {
  kernels::NormForward(*pass.device, ForwardArgs(pass, y));
}

void Norm::Forward(const Pass& pass, const ResidualSum& from, const kernels::Tensor& y) const {
  if (from.linear->has_additions()) return ForwardInParts(pass, from, y);
  kernels::LinearResidualNormArgs args;
  args.x = from.x;
  args.weight = from.linear->weight(pass);
  args.norm = ForwardArgs(pass, y);
  args.norm.bias = from.linear->bias(pass);
  args.norm.residual = from.residual;
  args.norm.dropout = from.dropout;
  args.norm.sum = sum(pass.tokens());
  kernels::LinearResidualNorm(*pass.device, args);
}

void Norm::ForwardInParts(const Pass& pass, const ResidualSum& from, const kernels::Tensor& y) const {
  kernels::NormForwardArgs args = ForwardArgs(pass, y);
  from.linear->ForwardProduct(pass, from.x, sum(pass.tokens()));
  args.bias = from.linear->bias(pass);
  args.residual = from.residual;
  args.dropout = from.dropout;
  args.sum = sum(pass.tokens());
  kernels::NormForward(*pass.device, args);
}

kernels::NormBackwardArgs Norm::BackwardArgs(const Pass& pass, const Gradients& gradients) const {
  kernels::NormBackwardArgs args;
  args.sum = sum(pass.tokens());
  args.mean = mean_.Vector(pass.tokens());
  args.rstd = rstd_.Vector(pass.tokens());
  args.gamma = pass.Value(spec_.weight);
  args.d_y = gradients.d_y;
  args.d_y_more = gradients.d_y_more;
  args.d_sum_more = gradients.d_sum_more;
  args.d_sum = gradients.d_sum;
  args.d_gamma = pass.Gradient(spec_.weight);
  args.d_beta = pass.Gradient(spec_.bias);
  return args;
}

void Norm::Backward(const Pass& pass, const Gradients& gradients) const {
  kernels::NormBackward(*pass.device, BackwardArgs(pass, gradients));
}

kernels::ConstTensor Norm::Backward(const Pass& pass, const ResidualSum& from, const Gradients& gradients,
                                    const kernels::Tensor& d_branch) const {
  kernels::NormBackwardArgs args = BackwardArgs(pass, gradients);
  const bool drops = from.dropout.rate > 0;
  args.dropout = from.dropout;
  if (drops) args.d_x = d_branch;
  args.d_bias = from.linear->bias_gradient(pass);
  kernels::NormBackward(*pass.device, args);
  return drops ? d_branch : gradients.d_sum;
}

}  // namespace shoal::model
