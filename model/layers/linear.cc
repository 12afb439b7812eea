#include "model/layers/linear.h"

#include "kernels/elementwise.h"

namespace shoal::model {

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
}

void Linear::ForwardProduct(const Pass& pass, const kernels::ConstTensor& x, const kernels::Tensor& y) const {
  kernels::Gemm(*pass.device, Product(pass, x, y));
}

void Linear::BackwardWeight(const Pass& pass, const kernels::ConstTensor& x, const kernels::ConstTensor& d_y,
                            bool more) const {
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
}

}  // namespace shoal::model
