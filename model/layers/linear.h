// A linear map applied to rows.
#pragma once

#include <cstdint>

#include "kernels/gemm.h"
#include "kernels/tensor.h"
#include "model/layers/pass.h"
#include "model/recipe.h"

namespace shoal::model {

// y = x W^T (+ bias).   x [N,in], y [N,out], W [out,in]
class Linear {
 public:
  explicit Linear(const LinearSpec& spec) : spec_(spec) {}

  void Forward(const Pass& pass, const kernels::ConstTensor& x, const kernels::Tensor& y) const;
  // Without the bias.
  void ForwardProduct(const Pass& pass, const kernels::ConstTensor& x, const kernels::Tensor& y) const;

  // The weight's gradient, from that of y. For rows in several calls: all but the first are `more` of them.
  void BackwardWeight(const Pass& pass, const kernels::ConstTensor& x, const kernels::ConstTensor& d_y,
                      bool more = false) const;
  // The gradient of the bias, where no kernel adds it to bias_gradient().
  void BackwardBias(const Pass& pass, const kernels::ConstTensor& d_y) const;
  // The gradient of x, `d_x` [N,in] out.
  void BackwardInput(const Pass& pass, const kernels::ConstTensor& d_y, const kernels::Tensor& d_x) const;

  int64_t in() const { return spec_.weight.columns; }
  int64_t out() const { return spec_.weight.rows; }
  int group() const { return spec_.weight.group; }
  kernels::ConstTensor weight(const Pass& pass) const { return pass.Value(spec_.weight); }
  // [out]; absent when there is none.
  kernels::ConstTensor bias(const Pass& pass) const {
    return spec_.bias ? pass.Value(*spec_.bias) : kernels::ConstTensor();
  }
  kernels::Tensor bias_gradient(const Pass& pass) const {
    return spec_.bias ? pass.Gradient(*spec_.bias) : kernels::Tensor();
  }

 private:
  kernels::GemmArgs Product(const Pass& pass, const kernels::ConstTensor& x, const kernels::Tensor& y) const;

  const LinearSpec spec_;
};

}  // namespace shoal::model
