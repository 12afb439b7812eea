// The parts of a Transformer layer: linear maps, attention, feed-forward, residual and norm; forward and
// backward.
//
//   N: tokens   C: hidden size   F: intermediate size   H: heads
// Gradients replace what the gradient holds, or with `accumulate` are added to it; a pass takes each once.
#pragma once

#include <cstdint>

#include "kernels/attention.h"
#include "kernels/device.h"
#include "kernels/dropout.h"
#include "kernels/layer_norm.h"
#include "kernels/tensor.h"
#include "model/model.h"
#include "model/parameters.h"

namespace shoal {

// What all parts of one pass have in common. Borrowed.
struct Pass {
  Device* device = nullptr;
  const ModelConfig* config = nullptr;
  const float* theta = nullptr;
  Batch batch;
  // In training alone.
  bool training = false;
  DropoutSeed dropout;
  float* gradient = nullptr;
  bool accumulate = false;
  absl::Span<const uint64_t> gradient_offsets;  // of groups; empty: as in θ
  absl::Span<const uint64_t> group_begins;      // in θ

  int64_t tokens() const { return batch.token_count(); }

  ConstTensor Vector(uint64_t offset, int64_t size) const { return {theta + offset, {size}}; }
  ConstTensor Matrix(uint64_t offset, int64_t rows, int64_t columns) const {
    return {theta + offset, {rows, columns}};
  }
  // To be added to: zeros, but with `accumulate`.
  Tensor VectorGradient(uint64_t offset, int64_t size) const;
  // As it is.
  Tensor MatrixGradient(uint64_t offset, int64_t rows, int64_t columns) const {
    return {GradientAt(offset), {rows, columns}};
  }
  // Of the parameter at this offset in θ.
  float* GradientAt(uint64_t offset) const;
};

// Dropout of [N,C]; none outside of training. Each place, `site`, draws other masks; `index` tells layers (or
// sub-layers) apart.
Dropout DropoutAt(const Pass& pass, double rate, const char* site, int64_t index = 0);
// The same for one row an example.
Dropout DropoutOfExamples(const Pass& pass, double rate, const char* site);
// x = dropout(x); its own backward.
void Drop(const Pass& pass, const Dropout& dropout, const Tensor& x);

// ---- linear maps: y = x W^T (+ bias), W [out,in] ----

struct LinearArgs {
  ConstTensor x;        // [N,in]
  uint64_t weight = 0;  // offset in θ
  Tensor y;             // [N,out] out
  ConstTensor bias;     // [out]; optional
};
void Linear(const Pass& pass, const LinearArgs& args);

struct LinearBackwardArgs {
  ConstTensor x;    // as in forward
  ConstTensor d_y;  // [N,out]
  uint64_t weight = 0;
  Tensor d_x;  // [N,in] out; optional
};
void LinearBackward(const Pass& pass, const LinearBackwardArgs& args);
// Its two halves.
void LinearBackwardWeight(const Pass& pass, const LinearBackwardArgs& args);
void LinearBackwardInput(const Pass& pass, const LinearBackwardArgs& args);

// ---- residual and norm ----

struct NormBuffers {
  Tensor sum;         // [N,C] what is normalised; kept from forward to backward
  Tensor mean, rstd;  // [N]; kept
  Tensor y;           // [N,C]; may alias the residual
};

// y = norm(residual + dropout(branch + branch_bias)).
struct ResidualNorm {
  uint64_t weight = 0;  // offsets in θ
  uint64_t bias = 0;
  uint64_t branch_bias = 0;
  ConstTensor residual;  // [N,C]; absent: what is normalised is buffers.sum as it is
  Dropout dropout;
  NormBuffers buffers;
};

// buffers.sum = branch_x W^T first (W at `branch_weight`), then the norm while the rows are in cache.
void LinearResidualNorm(const Pass& pass, const ConstTensor& branch_x, uint64_t branch_weight,
                        const ResidualNorm& norm);
// Of what stands in buffers.sum, without branch and residual.
void PlainNorm(const Pass& pass, const ResidualNorm& norm);

// norm.buffers.y as forward gave it, from what it kept: less memory than keeping it, and little work.
void RecomputeNorm(const Pass& pass, const ResidualNorm& norm, const Tensor& y);

struct ResidualNormBackwardArgs {
  ConstTensor d_y;
  ConstTensor d_y_more;    // optional
  ConstTensor d_sum_more;  // optional
  Tensor d_sum;            // out: gradient of the residual
  Tensor d_branch;         // out, when there is dropout
};
// Returns the gradient of the branch: d_branch, or d_sum without dropout.
ConstTensor ResidualNormBackward(const Pass& pass, const ResidualNorm& norm,
                                 const ResidualNormBackwardArgs& args);

// ---- attention, without its output's linear map ----

struct AttentionBuffers {
  Tensor qkv;         // [N,3C]
  Tensor statistics;  // [N,2H]
  Tensor context;     // [N,C]: the result
};
struct AttentionScratch {
  Tensor d_context;  // [N,C]
  Tensor d_qkv;      // [N,3C]
};
void SelfAttention(const Pass& pass, const LayerOffsets& at, int64_t layer, const ConstTensor& x,
                   const AttentionBuffers& buffers);
// From the gradient behind the output's linear map to that of x.
void SelfAttentionBackward(const Pass& pass, const LayerOffsets& at, int64_t layer, const ConstTensor& x,
                           const AttentionBuffers& buffers, const AttentionScratch& scratch,
                           const ConstTensor& d_out, const Tensor& d_x);

// ---- feed-forward, without its second linear map ----

struct FeedForwardBuffers {
  Tensor up;         // [N,F] before bias and activation; kept from forward to backward
  Tensor activated;  // [N,F]: the result; backward makes it again
};
void FeedForward(const Pass& pass, const LayerOffsets& at, const ConstTensor& x,
                 const FeedForwardBuffers& buffers);
// From the gradient behind the second linear map to that of x. `d_inner` [N,F] is scratch.
void FeedForwardBackward(const Pass& pass, const LayerOffsets& at, const ConstTensor& x,
                         const FeedForwardBuffers& buffers, const Tensor& d_inner, const ConstTensor& d_out,
                         const Tensor& d_x);

}  // namespace shoal
