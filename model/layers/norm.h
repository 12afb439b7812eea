// Layer normalization of a residual sum.
#pragma once

#include "kernels/dropout.h"
#include "kernels/layer_norm.h"
#include "model/layers/buffers.h"
#include "model/layers/linear.h"
#include "model/layers/pass.h"
#include "model/recipe.h"

namespace shoal::model {

// residual + dropout(linear(x)): how a sub-layer ends. Borrowed.
struct ResidualSum {
  const Linear* linear = nullptr;
  kernels::ConstTensor x;         // [N,*]
  kernels::ConstTensor residual;  // [N,C]
  kernels::Dropout dropout;
};

// y = norm(sum). Keeps the sum but not y: a caller that needs y in backward calls Forward again, which costs
// little work and saves the memory of y.
class Norm {
 public:
  // `sum`: a buffer [N,C] that keeps the input of the norm from forward to backward.
  Norm(const LayerPlan& plan, const NormSpec& spec, Buffer sum);

  // Normalizes what sum() holds.
  void Forward(const Pass& pass, const kernels::Tensor& y) const;
  // Computes sum() = `from` first; y may alias from.residual.
  void Forward(const Pass& pass, const ResidualSum& from, const kernels::Tensor& y) const;

  struct Gradients {
    kernels::ConstTensor d_y;         // [N,C]
    kernels::ConstTensor d_y_more;    // [N,C], added to d_y; optional
    kernels::ConstTensor d_sum_more;  // [N,C], a second gradient that reaches the sum; optional
    kernels::Tensor d_sum;            // [N,C] out; may alias any of the above
  };
  void Backward(const Pass& pass, const Gradients& gradients) const;
  // The same, and the gradient of linear(x), which it returns: in `d_branch` [N,C], or without dropout in
  // d_sum. Adds to the gradient of from.linear's bias.
  kernels::ConstTensor Backward(const Pass& pass, const ResidualSum& from, const Gradients& gradients,
                                const kernels::Tensor& d_branch) const;

  kernels::Tensor sum(int64_t tokens) const { return sum_.Matrix(tokens); }
  int group() const { return spec_.weight.group; }

 private:
  // The same as Forward, with a linear map that has additions.
  void ForwardInParts(const Pass& pass, const ResidualSum& from, const kernels::Tensor& y) const;
  kernels::NormForwardArgs ForwardArgs(const Pass& pass, const kernels::Tensor& y) const;
  kernels::NormBackwardArgs BackwardArgs(const Pass& pass, const Gradients& gradients) const;

  const NormSpec spec_;
  const Buffer sum_, mean_, rstd_;
};

}  // namespace shoal::model
