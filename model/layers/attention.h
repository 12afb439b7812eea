#pragma once

#include "kernels/attention.h"
#include "model/layers/branch.h"

namespace shoal::model {

// Multi-head self-attention.
class Attention : public Branch {
 public:
  Attention(const LayerPlan& plan, const AttentionSpec& spec);

  kernels::ConstTensor Forward(const Pass& pass, const kernels::ConstTensor& x) override;
  void Backward(const Pass& pass, const kernels::ConstTensor& x, const kernels::ConstTensor& d_out,
                const kernels::Tensor& d_x) override;
  const Linear& out() const override { return out_; }

 private:
  kernels::AttentionShape Shape(const Pass& pass) const;

  const AttentionSpec spec_;
  const Linear qkv_map_, out_;
  const Buffer qkv_;         // [N,3C]
  const Buffer statistics_;  // [N,2H]
  const Buffer context_;     // [N,C]: the result
  const Buffer d_context_, d_qkv_;
};

}  // namespace shoal::model
