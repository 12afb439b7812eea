#include "model/layers/mlp.h"

#include "kernels/linear.h"

namespace shoal::model {

Mlp::Mlp(const LayerPlan& plan, const MlpSpec& spec)
    : activation_(spec.activation),
      up_map_(plan, spec.up),
      out_(plan, spec.out),
      up_(plan.AddActivation(Use::kKept, up_map_.out())),
      activated_(plan.AddActivation(Use::kForward, up_map_.out())),
      reactivated_(plan.AddActivation(Use::kBackward, up_map_.out())),
      d_up_(plan.AddActivation(Use::kBackward, up_map_.out())) {}

kernels::ConstTensor Mlp::Forward(const Pass& pass, const kernels::ConstTensor& x) {
  if (up_map_.has_additions()) {
    const kernels::Tensor up = up_.Matrix(pass.tokens()), activated = activated_.Matrix(pass.tokens());
    up_map_.ForwardProduct(pass, x, up);
    kernels::ActivationForward(*pass.device, {activation_, up, up_map_.bias(pass), activated});
    return activated;
  }
  kernels::LinearActivationArgs args;
  args.x = x;
  args.weight = up_map_.weight(pass);
  args.bias = up_map_.bias(pass);
  args.activation = activation_;
  args.product = up_.Matrix(pass.tokens());
  args.y = activated_.Matrix(pass.tokens());
  kernels::LinearActivation(*pass.device, args);
  return args.y;
}

void Mlp::Backward(const Pass& pass, const kernels::ConstTensor& x, const kernels::ConstTensor& d_out,
                   const kernels::Tensor& d_x) {
  const kernels::Tensor d_up = d_up_.Matrix(pass.tokens());
  out_.BackwardInput(pass, d_out, d_up);
  kernels::ActivationBackwardArgs args;
  args.activation = activation_;
  args.x = up_.Matrix(pass.tokens());
  args.bias = up_map_.bias(pass);
  args.d_y = d_up;
  args.d_x = d_up;
  args.y = reactivated_.Matrix(pass.tokens());
  args.d_bias = up_map_.bias_gradient(pass);
  kernels::ActivationBackward(*pass.device, args);
  out_.BackwardWeight(pass, args.y, d_out);
  up_map_.BackwardWeight(pass, x, d_up);
  up_map_.BackwardInput(pass, d_up, d_x);
}

}  // namespace shoal::model
