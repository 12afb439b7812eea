// A stack of Transformer layers, post-norm or pre-norm, with the memory that it needs.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/functional/function_ref.h"
#include "kernels/memory_plan.h"
#include "model/model.h"
#include "model/sublayers.h"

namespace shoal {

// Views of planned memory, made once for the largest batch and cut to each.
class BufferSet {
 public:
  // A [rows, columns] buffer of f32; `rows` of the largest batch. Valid once Allocate has run.
  int Add(int64_t rows, int64_t columns);
  void Allocate();
  // The first `rows` rows.
  Tensor Matrix(int buffer, int64_t rows) const;
  Tensor Vector(int buffer, int64_t size) const;
  int64_t size_bytes() const { return arena_.size_bytes(); }

 private:
  struct Shape {
    int64_t rows = 0;
    int64_t columns = 0;
    int64_t offset_bytes = 0;
  };
  std::vector<Shape> shapes_;
  int64_t bytes_ = 0;
  Arena arena_;
};

// Not thread-safe. Takes its buffers from a set that its owner allocates.
class Encoder {
 public:
  // `x` (a buffer of the set) holds the input [N,C] during a pass; pre-norm keeps it to the end of backward.
  Encoder(const ModelConfig& config, const Parameters& parameters, const BatchLimits& limits, int x,
          BufferSet* buffers);

  // False when `wait_group` says so. The output [N,C] is at Output().
  bool Forward(const Pass& pass, int64_t tokens, Model::WaitGroup wait_group);
  Tensor Output(int64_t tokens) const;

  // `d_output`: gradient of the output, in a buffer of Gradient(); d_output is overwritten. Afterwards the
  // gradient of the input is the sum of the two buffers of InputGradient (the second may be absent).
  // `group_final` for each layer's group.
  Tensor OutputGradient(int64_t tokens) const;
  void Backward(const Pass& pass, int64_t tokens, Model::GroupFinal group_final);
  ConstTensor InputGradient(int64_t tokens) const;
  ConstTensor InputGradientMore(int64_t tokens) const;
  // [N,C] memory that is free outside of Backward.
  Tensor Scratch(int64_t tokens) const;

 private:
  struct NormIds {
    int sum, y, mean, rstd;
  };
  struct LayerIds {
    int qkv, statistics, context, up, activated;
  };

  bool pre() const { return config_.norm == NORM_PLACEMENT_PRE; }
  int64_t layers() const { return config_.num_hidden_layers; }
  NormIds AddNorm(const BatchLimits& limits, int sum, BufferSet* buffers);
  // Norm `index` of the stack in order: two a layer, and with pre-norm one more at the end.
  ResidualNorm Norm(const Pass& pass, int64_t index, int64_t tokens) const;
  // Input of sub-layer `index`: even the attention, odd the feed-forward of layer index / 2.
  Tensor SublayerInput(int64_t index, int64_t tokens) const;
  AttentionBuffers Attention(int64_t layer, int64_t tokens) const;
  FeedForwardBuffers Inner(int64_t layer, int64_t tokens) const;
  // A sub-layer and the norm behind it.
  void SublayerForward(const Pass& pass, int64_t index, int64_t tokens);
  void SublayerBackward(const Pass& pass, int64_t index, int64_t tokens, const ConstTensor& d_branch);

  const ModelConfig& config_;
  const Parameters& parameters_;
  BufferSet* const buffers_;
  const int x_;
  std::vector<NormIds> norms_;
  std::vector<LayerIds> ids_;
  int d_main_, d_residual_, d_branch_, d_context_, d_qkv_, d_inner_;
};

}  // namespace shoal
