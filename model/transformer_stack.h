// A stack of Transformer layers, post-norm or pre-norm, causal or not, with the memory that it needs.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/functional/function_ref.h"
#include "model/buffers.h"
#include "model/model.h"
#include "model/sublayers.h"

namespace shoal {

// Not thread-safe. Takes its buffers from a set that its owner allocates.
class TransformerStack {
 public:
  // `x` (a buffer of the set) holds the input [N,C] to the end of backward.
  TransformerStack(const ModelPlan& plan, int x);

  // False when `wait_group` says so. The output [N,C] is at Output().
  bool Forward(const Pass& pass, Model::WaitGroup wait_group);
  Tensor Output(int64_t tokens) const;

  // From the gradient of the output, in OutputGradient() (free since Forward; overwritten), to that of the
  // input: the sum of InputGradient() and InputGradientMore() (the second may be absent). `group_final` for
  // each layer's group.
  Tensor OutputGradient(int64_t tokens) const;
  void Backward(const Pass& pass, Model::GroupFinal group_final);
  ConstTensor InputGradient(int64_t tokens) const;
  ConstTensor InputGradientMore(int64_t tokens) const;
  // [N,C] memory that is free behind Backward, until the next Forward.
  Tensor Scratch(int64_t tokens) const;

 private:
  struct NormIds {
    int sum, mean, rstd;
  };
  struct LayerIds {
    int qkv, statistics, context, up;
  };

  bool pre() const { return config_.norm == NORM_PLACEMENT_PRE; }
  int64_t layers() const { return config_.num_hidden_layers; }
  NormIds AddNorm(const ModelPlan& plan, int sum);
  // Norm `index` of the stack in order: two a layer, and with pre-norm one more at the end.
  ResidualNorm Norm(const Pass& pass, int64_t index) const;
  // Input of sub-layer `index`: even the attention, odd the feed-forward of layer index / 2.
  Tensor SublayerInput(int64_t index, int64_t tokens) const;
  // The same in backward, made again.
  ConstTensor RecomputeSublayerInput(const Pass& pass, int64_t index) const;
  AttentionBuffers Attention(int64_t layer, int64_t tokens) const;
  FeedForwardBuffers Inner(int64_t layer, int activated, int64_t tokens) const;
  // A sub-layer and the norm behind it.
  void SublayerForward(const Pass& pass, int64_t index);
  void SublayerBackward(const Pass& pass, int64_t index, const ConstTensor& d_branch);

  const ModelConfig& config_;
  const Parameters& parameters_;
  BufferSet* const buffers_;
  const int x_;
  const int y_;                          // of the last norm so far
  const int activated_;                  // of the last layer so far
  const int y_again_, activated_again_;  // in backward
  std::vector<NormIds> norms_;
  std::vector<LayerIds> ids_;
  int d_main_, d_residual_, d_branch_, d_context_, d_qkv_, d_inner_;
};

}  // namespace shoal
