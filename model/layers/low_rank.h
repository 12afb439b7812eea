// The low-rank additions to a linear map (LoRA; Hu et al., 2021).
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/tensor.h"
#include "model/layers/buffers.h"
#include "model/layers/pass.h"
#include "model/recipe.h"

namespace shoal::model {

// For each addition, to the columns of y that are its rows: y += inner B^T, with
// inner = scale * (dropout(x) A^T).   x [N,in], y [N,out], A [R,in], B [rows,R], inner [N,R]
//
// Activations are of the type that the plan says, gradients of parameters f32. Not thread-safe.
class LowRank {
 public:
  // None.
  LowRank() = default;
  LowRank(const LayerPlan& plan, const LinearSpec& spec);

  bool present() const { return !parts_.empty(); }

  // Adds to y, which holds x W^T. Keeps `inner` for backward.
  void Forward(const Pass& pass, const kernels::ConstTensor& x, const kernels::Tensor& y) const;
  // The gradients of A and B, from that of y; after Forward of the same pass.
  void BackwardWeights(const Pass& pass, const kernels::ConstTensor& x,
                       const kernels::ConstTensor& d_y) const;
  // Adds to the gradient of x, `d_x` [N,in] in/out.
  void BackwardInput(const Pass& pass, const kernels::ConstTensor& d_y, const kernels::Tensor& d_x) const;

 private:
  struct Part {
    LowRankSpec spec;
    Buffer inner;
  };
  kernels::Dropout DropoutOf(const Pass& pass, const Part& part) const;
  // dropout(x), in `memory` if there is dropout.
  kernels::ConstTensor Dropped(const Pass& pass, const Part& part, const kernels::ConstTensor& x,
                               const Buffer& memory) const;
  // The gradient of `inner`, times the scale. Recomputed for each caller, since it is little work.
  kernels::Tensor InnerGradient(const Pass& pass, const Part& part, const kernels::ConstTensor& d_y) const;

  std::vector<Part> parts_;
  Buffer dropped_, dropped_in_backward_;  // [N,in]
  Buffer sum_;                            // [N,out] of all parts
  Buffer d_inner_;                        // [N,R]
  Buffer d_x_;                            // [N,in] of one part
};

}  // namespace shoal::model
