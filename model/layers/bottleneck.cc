#include "model/layers/bottleneck.h"

#include "kernels/activation.h"
#include "kernels/elementwise.h"
#include "kernels/gemm.h"

namespace shoal::model {
namespace {

constexpr kernels::Activation kActivation = kernels::Activation::kGelu;

// c = a W^T, or a W.
void Product(const Pass& pass, const kernels::ConstTensor& a, const MatrixParameter& weight, bool transposed,
             const kernels::ConstTensor& bias, const kernels::Tensor& c) {
  kernels::GemmArgs gemm;
  gemm.a = a;
  gemm.b = pass.Value(weight);
  gemm.c = c;
  gemm.trans_b = transposed;
  gemm.bias = bias;
  kernels::Gemm(*pass.device, gemm);
}

// The gradient of a weight, d_y^T x.
void WeightGradient(const Pass& pass, const kernels::ConstTensor& d_y, const kernels::ConstTensor& x,
                    const MatrixParameter& weight) {
  kernels::GemmArgs gemm;
  gemm.a = d_y;
  gemm.b = x;
  gemm.c = pass.Gradient(weight);
  gemm.trans_a = true;
  gemm.accumulate = pass.adds_to(weight.group);
  kernels::Gemm(*pass.device, gemm);
}

}  // namespace

Bottleneck::Bottleneck(const LayerPlan& plan, const LinearSpec& spec) : spec_(spec.bottleneck) {
  if (!spec_) return;
  const int64_t size = spec_->down.rows, channels = spec_->down.columns;
  h_ = plan.AddActivation(Use::kKept, channels);
  down_ = plan.AddActivation(Use::kKept, size);
  activated_ = plan.AddActivation(Use::kForward, size);
  d_down_ = plan.AddActivation(Use::kBackward, size);
  reactivated_ = plan.AddActivation(Use::kBackward, size);
  d_h_ = plan.AddActivation(Use::kBackward, channels);
}

void Bottleneck::Forward(const Pass& pass, const kernels::Tensor& y) const {
  const kernels::Tensor down = down_.Matrix(pass.tokens()), activated = activated_.Matrix(pass.tokens());
  Product(pass, Input(pass), spec_->down, true, {}, down);
  kernels::ActivationForward(*pass.device, {kActivation, down, pass.Value(spec_->down_bias), activated});
  Product(pass, activated, spec_->up, true, pass.Value(spec_->up_bias), y);
  kernels::Add(*pass.device, Input(pass), y, y);
}

kernels::ConstTensor Bottleneck::Backward(const Pass& pass, const kernels::ConstTensor& d_y) const {
  const kernels::Tensor d_down = d_down_.Matrix(pass.tokens()), d_h = d_h_.Matrix(pass.tokens());
  Product(pass, d_y, spec_->up, false, {}, d_down);
  kernels::ActivationBackwardArgs args;
  args.activation = kActivation;
  args.x = down_.Matrix(pass.tokens());
  args.bias = pass.Value(spec_->down_bias);
  args.d_y = d_down;
  args.d_x = d_down;
  args.y = reactivated_.Matrix(pass.tokens());
  args.d_bias = pass.Gradient(spec_->down_bias);
  kernels::ActivationBackward(*pass.device, args);
  WeightGradient(pass, d_y, args.y, spec_->up);
  kernels::AddColumnSums(*pass.device, d_y, pass.Gradient(spec_->up_bias));
  WeightGradient(pass, d_down, Input(pass), spec_->down);
  Product(pass, d_down, spec_->down, false, {}, d_h);
  kernels::Add(*pass.device, d_h, d_y, d_h);
  return d_h;
}

}  // namespace shoal::model
