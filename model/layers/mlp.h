#pragma once

#include "kernels/activation.h"
#include "model/layers/branch.h"

namespace shoal::model {

// Two linear maps with an activation between them.
class Mlp : public Branch {
 public:
  Mlp(const LayerPlan& plan, const MlpSpec& spec);

  kernels::ConstTensor Forward(const Pass& pass, const kernels::ConstTensor& x) override;
  void Backward(const Pass& pass, const kernels::ConstTensor& x, const kernels::ConstTensor& d_out,
                const kernels::Tensor& d_x) override;
  const Linear& out() const override { return out_; }

 private:
  const kernels::Activation activation_;
  const Linear up_map_, out_;
  const Buffer up_;           // [N,F] before bias and activation
  const Buffer activated_;    // [N,F]: the result, which is not kept
  const Buffer reactivated_;  // the result, recomputed in backward
  const Buffer d_up_;
};

}  // namespace shoal::model
