// A sequence of sub-layers, each with a residual sum and a norm.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/functional/function_ref.h"
#include "model/layers/branch.h"
#include "model/layers/buffers.h"
#include "model/layers/norm.h"
#include "model/layers/pass.h"
#include "model/recipe.h"

namespace shoal::model {

// Called before the parameters of this group, and of the groups before it, are read; returns once they may
// be. False aborts the pass.
using ReadyGroup = absl::FunctionRef<bool(int group)>;
// Called before gradients of this group are written: those of all later groups are final.
using BeginGroup = absl::FunctionRef<void(int group)>;

// The norm that follows a sub-layer is computed together with the residual sum. Post-norm: it is the
// sub-layer's own norm, and its output is the next residual. Pre-norm: it is the norm in front of the next
// sub-layer, or the last norm, and its input is the next residual; the first sub-layer's norm runs before
// everything else. Not thread-safe.
class Stack {
 public:
  // Its sub-layers run in steps 1 to plan.head - 1.
  Stack(const LayerPlan& plan, const StackSpec& spec);

  // [N,C], for the caller to fill before Forward; kept until the end of backward.
  kernels::Tensor Input(int64_t tokens) const { return input_.Matrix(tokens); }
  // False when `ready` returns false. The output is [N,C] and stays valid until the end of the head's step.
  bool Forward(const Pass& pass, ReadyGroup ready);
  kernels::Tensor Output(int64_t tokens) const { return output_.Matrix(tokens); }

  // For the caller to fill during the head's step, after Forward.
  kernels::Tensor OutputGradient(int64_t tokens) const { return d_input_.Matrix(tokens); }
  // The gradient of the input is the sum of both.
  struct InputGradient {
    kernels::ConstTensor d_x;       // [N,C]
    kernels::ConstTensor d_x_more;  // [N,C]; may be absent
  };
  // Stops at the lowest group of which a parameter trains; the gradient of the input is then absent, unless
  // that is group 0.
  InputGradient Backward(const Pass& pass, BeginGroup begin);

 private:
  struct Sublayer {
    std::unique_ptr<Branch> branch;
    double dropout = 0;
  };
  void AddNorms(const LayerPlan& plan, const StackSpec& spec);
  // Norms in front of the first sub-layer: 0 or 1.
  size_t leading_norms() const { return norms_.size() - sublayers_.size(); }
  bool pre_norm() const { return leading_norms() == 1; }
  const Norm& NormBehind(size_t sublayer) const { return norms_[sublayer + leading_norms()]; }
  // Null when the sub-layer has none.
  const Norm* NormInFront(size_t sublayer) const {
    const size_t behind = sublayer + leading_norms();
    return behind == 0 ? nullptr : &norms_[behind - 1];
  }
  kernels::Tensor SublayerInput(const Pass& pass, size_t sublayer) const;
  // The same in backward, recomputed from what its norm kept.
  kernels::Tensor RecomputedInput(const Pass& pass, size_t sublayer) const;
  // The residual sum at the end of the sub-layer, from its branch's result `x`.
  ResidualSum SumOf(const Pass& pass, size_t sublayer, const kernels::ConstTensor& x) const;

  std::vector<Sublayer> sublayers_;
  std::vector<Norm> norms_;
  Buffer input_;
  Buffer output_;      // of the last norm so far
  Buffer recomputed_;  // input of a sub-layer
  // Gradients of a sub-layer's input, of the residual that goes around it, and of its branch.
  Buffer d_input_, d_residual_, d_branch_;
};

}  // namespace shoal::model
