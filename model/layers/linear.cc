#include "model/layers/linear.h"

#include "common/base/status.h"
#include "kernels/elementwise.h"

namespace shoal::model {

Linear::Linear(const LinearSpec& spec) : Linear(LayerPlan(), spec) {
  SHOAL_CHECK(spec.low_rank.empty() && !spec.bottleneck);
}

kernels::GemmArgs Linear::Product(const Pass& pass, const kernels::ConstTensor& x,
                                  const kernels::Tensor& y) const {
  kernels::GemmArgs gemm;
  gemm.a = x;
  gemm.b = pass.Value(spec_.weight);
  gemm.c = y;
  gemm.trans_b = true;
  return gemm;
}

void Linear::Forward(const Pass& pass, const kernels::ConstTensor& x, const kernels::Tensor& y) const {
  if (bottleneck_.present()) return ForwardProduct(pass, x, y);
  kernels::GemmArgs gemm = Product(pass, x, y);
  gemm.bias = bias(pass);
  kernels::Gemm(*pass.device, gemm);
  low_rank_.Forward(pass, x, y);
}

void Linear::ForwardProduct(const Pass& pass, const kernels::ConstTensor& x, const kernels::Tensor& y) const {
  const kernels::Tensor product = bottleneck_.present() ? bottleneck_.Input(pass) : y;
  kernels::GemmArgs gemm = Product(pass, x, product);
  if (bottleneck_.present() && spec_.bias) gemm.bias = pass.Value(*spec_.bias);
  kernels::Gemm(*pass.device, gemm);
  low_rank_.Forward(pass, x, product);
  if (bottleneck_.present()) bottleneck_.Forward(pass, y);
}

void Linear::BackwardWeight(const Pass& pass, const kernels::ConstTensor& x, const kernels::ConstTensor& d_y,
                            bool more) const {
  if (low_rank_.present()) low_rank_.BackwardWeights(pass, x, d_y);
  if (!pass.Trains(spec_.weight)) return;
  SHOAL_CHECK(!bottleneck_.present());  // a map with an adapter is frozen
  kernels::GemmArgs gemm;
  gemm.a = d_y;
  gemm.b = x;
  gemm.c = pass.Gradient(spec_.weight);
  gemm.trans_a = true;
  gemm.accumulate = more || pass.adds_to(group());
  kernels::Gemm(*pass.device, gemm);
}

void Linear::BackwardBias(const Pass& pass, const kernels::ConstTensor& d_y) const {
  if (spec_.bias) kernels::AddColumnSums(*pass.device, d_y, bias_gradient(pass));
}

void Linear::BackwardInput(const Pass& pass, const kernels::ConstTensor& d_y,
                           const kernels::Tensor& d_x) const {
  const kernels::ConstTensor d_product = bottleneck_.present() ? bottleneck_.Backward(pass, d_y) : d_y;
  kernels::GemmArgs gemm;
  gemm.a = d_product;
  gemm.b = pass.Value(spec_.weight);
  gemm.c = d_x;
  kernels::Gemm(*pass.device, gemm);
  low_rank_.BackwardInput(pass, d_product, d_x);
}

}  // namespace shoal::model
