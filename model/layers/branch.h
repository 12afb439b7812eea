// What a sub-layer adds to its residual, except for the last linear map, which Norm computes together with
// the sum.
#pragma once

#include <memory>

#include "kernels/tensor.h"
#include "model/layers/buffers.h"
#include "model/layers/linear.h"
#include "model/layers/pass.h"
#include "model/recipe.h"

namespace shoal::model {

// Not thread-safe.
class Branch {
 public:
  virtual ~Branch() = default;

  // Computes the branch of x [N,C]; returns the input for out(), valid until the end of the step.
  virtual kernels::ConstTensor Forward(const Pass& pass, const kernels::ConstTensor& x) = 0;

  // From the gradient of out()'s result, [N,C], computes that of x, `d_x` [N,C] out, and of all parameters
  // except out()'s bias. `x` as in forward; for the pass that ran Forward last.
  virtual void Backward(const Pass& pass, const kernels::ConstTensor& x, const kernels::ConstTensor& d_out,
                        const kernels::Tensor& d_x) = 0;

  virtual const Linear& out() const = 0;
};

}  // namespace shoal::model
