#include "model/layers/linear.h"

#include "common/base/status.h"
#include "kernels/elementwise.h"

namespace shoal::model {

Linear::Linear(const LinearSpec& spec) : spec_(spec) { SHOAL_CHECK(spec.low_rank.empty()); }

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
  kernels::GemmArgs gemm = Product(pass, x, y);
  gemm.bias = bias(pass);
  kernels::Gemm(*pass.device, gemm);
  low_rank_.Forward(pass, x, y);
}

void Linear::ForwardProduct(const Pass& pass, const kernels::ConstTensor& x, const kernels::Tensor& y) const {
  kernels::Gemm(*pass.device, Product(pass, x, y));
  low_rank_.Forward(pass, x, y);
}

void Linear::BackwardWeight(const Pass& pass, const kernels::ConstTensor& x, const kernels::ConstTensor& d_y,
                            bool more) const {
  if (low_rank_.present()) low_rank_.BackwardWeights(pass, x, d_y);
  if (!pass.Trains(spec_.weight)) return;
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
  kernels::GemmArgs gemm;
  gemm.a = d_y;
  gemm.b = pass.Value(spec_.weight);
  gemm.c = d_x;
  kernels::Gemm(*pass.device, gemm);
  low_rank_.BackwardInput(pass, d_y, d_x);
}

}  // namespace shoal::model
