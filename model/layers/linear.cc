#include "model/layers/linear.h"

#include "kernels/elementwise.h"

namespace shoal {

GemmArgs Linear::Product(const Pass& pass, const ConstTensor& x, const Tensor& y) const {
  GemmArgs gemm;
  gemm.a = x;
  gemm.b = pass.Value(spec_.weight);
  gemm.c = y;
  gemm.trans_b = true;
  return gemm;
}

void Linear::Forward(const Pass& pass, const ConstTensor& x, const Tensor& y) const {
  GemmArgs gemm = Product(pass, x, y);
  gemm.bias = bias(pass);
  Gemm(*pass.device, gemm);
}

void Linear::ForwardProduct(const Pass& pass, const ConstTensor& x, const Tensor& y) const {
  Gemm(*pass.device, Product(pass, x, y));
}

void Linear::BackwardWeight(const Pass& pass, const ConstTensor& x, const ConstTensor& d_y) const {
  GemmArgs gemm;
  gemm.a = d_y;
  gemm.b = x;
  gemm.c = pass.Gradient(spec_.weight);
  gemm.trans_a = true;
  gemm.accumulate = pass.adds_to(group());
  Gemm(*pass.device, gemm);
}

void Linear::BackwardBias(const Pass& pass, const ConstTensor& d_y) const {
  if (spec_.bias) AddColumnSums(*pass.device, d_y, bias_gradient(pass));
}

void Linear::BackwardInput(const Pass& pass, const ConstTensor& d_y, const Tensor& d_x) const {
  GemmArgs gemm;
  gemm.a = d_y;
  gemm.b = pass.Value(spec_.weight);
  gemm.c = d_x;
  Gemm(*pass.device, gemm);
}

}  // namespace shoal
