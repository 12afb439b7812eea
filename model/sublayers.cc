#include "model/sublayers.h"

#include <algorithm>

#include "common/base/philox.h"
#include "kernels/activation.h"
#include "kernels/elementwise.h"
#include "kernels/gemm.h"

namespace shoal {
namespace {

// Widest row that a GEMM tile holds as a whole (kernels/gemm.h).
constexpr int64_t kWholeRow = 1024;

Activation ActivationOf(const ModelConfig& config) {
  return config.activation == ACTIVATION_TYPE_GELU ? Activation::kGelu : Activation::kGeluTanh;
}

NormForwardArgs ForwardArgs(const Pass& pass, const ResidualNorm& norm) {
  const int64_t channels = norm.buffers.sum.dim(1);
  NormForwardArgs args;
  args.x = norm.buffers.sum;
  if (norm.residual.present()) {
    args.bias = pass.Vector(norm.branch_bias, channels);
    args.residual = norm.residual;
    args.dropout = norm.dropout;
    args.sum = norm.buffers.sum;
  }
  args.gamma = pass.Vector(norm.weight, channels);
  args.beta = pass.Vector(norm.bias, channels);
  args.epsilon = static_cast<float>(pass.config->layer_norm_eps);
  args.y = norm.buffers.y;
  args.mean = norm.buffers.mean;
  args.rstd = norm.buffers.rstd;
  return args;
}

NormForwardArgs RowsOf(const NormForwardArgs& args, int64_t begin, int64_t end) {
  NormForwardArgs rows = args;
  rows.x = args.x.Rows(begin, end);
  rows.residual = args.residual.Rows(begin, end);
  rows.sum = args.sum.Rows(begin, end);
  rows.y = args.y.Rows(begin, end);
  rows.mean = args.mean.Rows(begin, end);
  rows.rstd = args.rstd.Rows(begin, end);
  rows.dropout = FromRow(args.dropout, begin);
  return rows;
}

AttentionShape ShapeOf(const Pass& pass, int64_t layer) {
  AttentionShape shape;
  shape.heads = pass.config->num_attention_heads;
  shape.head_dim = pass.config->hidden_size / shape.heads;
  shape.causal = pass.config->causal();
  shape.offsets = pass.batch.offsets;
  if (pass.training) {
    shape.dropout.rate = static_cast<float>(pass.config->attention_probs_dropout_prob);
    shape.dropout.key = DeriveKey(pass.dropout.key, "attention", {static_cast<uint64_t>(layer)});
    shape.dropout.first_example = pass.dropout.first_example;
  }
  return shape;
}

}  // namespace

float* Pass::GradientAt(uint64_t offset) const {
  if (gradient_offsets.empty()) return gradient + offset;
  const auto group = std::upper_bound(group_begins.begin(), group_begins.end(), offset) - 1;
  return gradient + gradient_offsets[group - group_begins.begin()] + (offset - *group);
}

Tensor Pass::VectorGradient(uint64_t offset, int64_t size) const {
  float* const at = GradientAt(offset);
  if (!accumulate) std::fill_n(at, size, 0.0f);
  return {at, {size}};
}

Dropout DropoutAt(const Pass& pass, double rate, const char* site, int64_t index) {
  Dropout dropout;
  if (!pass.training) return dropout;
  dropout.rate = static_cast<float>(rate);
  dropout.key = DeriveKey(pass.dropout.key, site, {static_cast<uint64_t>(index)});
  dropout.first_token = pass.dropout.first_token;
  return dropout;
}

Dropout DropoutOfExamples(const Pass& pass, double rate, const char* site) {
  Dropout dropout = DropoutAt(pass, rate, site);
  dropout.first_token = pass.dropout.first_example;
  return dropout;
}

void Drop(const Pass& pass, const Dropout& dropout, const Tensor& x) {
  if (dropout.rate > 0) ApplyDropout(*pass.device, {dropout, x, {}, x});
}

// ---- linear maps ----

void Linear(const Pass& pass, const LinearArgs& args) {
  GemmArgs gemm;
  gemm.a = args.x;
  gemm.b = pass.Matrix(args.weight, args.y.dim(1), args.x.dim(1));
  gemm.c = args.y;
  gemm.trans_b = true;
  gemm.bias = args.bias;
  Gemm(*pass.device, gemm);
}

void LinearBackwardWeight(const Pass& pass, const LinearBackwardArgs& args) {
  GemmArgs gemm;
  gemm.a = args.d_y;
  gemm.b = args.x;
  gemm.c = pass.MatrixGradient(args.weight, args.d_y.dim(1), args.x.dim(1));
  gemm.trans_a = true;
  gemm.accumulate = pass.accumulate;
  Gemm(*pass.device, gemm);
}

void LinearBackwardInput(const Pass& pass, const LinearBackwardArgs& args) {
  GemmArgs gemm;
  gemm.a = args.d_y;
  gemm.b = pass.Matrix(args.weight, args.d_y.dim(1), args.x.dim(1));
  gemm.c = args.d_x;
  Gemm(*pass.device, gemm);
}

void LinearBackward(const Pass& pass, const LinearBackwardArgs& args) {
  LinearBackwardWeight(pass, args);
  if (args.d_x.present()) LinearBackwardInput(pass, args);
}

// ---- residual and norm ----

void LinearResidualNorm(const Pass& pass, const ConstTensor& branch_x, uint64_t branch_weight,
                        const ResidualNorm& norm) {
  const NormForwardArgs args = ForwardArgs(pass, norm);
  const int64_t channels = norm.buffers.sum.dim(1);
  if (channels > kWholeRow) {
    Linear(pass, {branch_x, branch_weight, norm.buffers.sum, {}});
    return NormForward(*pass.device, args);
  }
  GemmArgs gemm;
  gemm.a = branch_x;
  gemm.b = pass.Matrix(branch_weight, channels, branch_x.dim(1));
  gemm.c = norm.buffers.sum;
  gemm.trans_b = true;
  GemmWithEpilogue(*pass.device, gemm, [&](const GemmTile& tile) {
    NormForwardOnThread(RowsOf(args, tile.row_begin, tile.row_end));
  });
}

void PlainNorm(const Pass& pass, const ResidualNorm& norm) {
  NormForward(*pass.device, ForwardArgs(pass, norm));
}

void RecomputeNorm(const Pass& pass, const ResidualNorm& norm, const Tensor& y) {
  ResidualNorm plain = norm;
  plain.residual = {};
  plain.buffers.y = y;
  PlainNorm(pass, plain);
}

ConstTensor ResidualNormBackward(const Pass& pass, const ResidualNorm& norm,
                                 const ResidualNormBackwardArgs& args) {
  const int64_t channels = norm.buffers.sum.dim(1);
  NormBackwardArgs backward;
  backward.sum = norm.buffers.sum;
  backward.mean = norm.buffers.mean;
  backward.rstd = norm.buffers.rstd;
  backward.gamma = pass.Vector(norm.weight, channels);
  backward.d_y = args.d_y;
  backward.d_y_more = args.d_y_more;
  backward.d_sum_more = args.d_sum_more;
  backward.d_sum = args.d_sum;
  backward.d_gamma = pass.VectorGradient(norm.weight, channels);
  backward.d_beta = pass.VectorGradient(norm.bias, channels);
  if (norm.residual.present()) {
    backward.dropout = norm.dropout;
    if (norm.dropout.rate > 0) backward.d_x = args.d_branch;
    backward.d_bias = pass.VectorGradient(norm.branch_bias, channels);
  }
  NormBackward(*pass.device, backward);
  return norm.dropout.rate > 0 ? ConstTensor(args.d_branch) : ConstTensor(args.d_sum);
}

// ---- attention ----

void SelfAttention(const Pass& pass, const LayerOffsets& at, int64_t layer, const ConstTensor& x,
                   const AttentionBuffers& buffers) {
  Linear(pass, {x, at.qkv_weight, buffers.qkv, pass.Vector(at.qkv_bias, buffers.qkv.dim(1))});
  AttentionForwardArgs args;
  args.shape = ShapeOf(pass, layer);
  args.qkv = buffers.qkv;
  args.out = buffers.context;
  args.statistics = buffers.statistics;
  AttentionForward(*pass.device, args);
}

void SelfAttentionBackward(const Pass& pass, const LayerOffsets& at, int64_t layer, const ConstTensor& x,
                           const AttentionBuffers& buffers, const AttentionScratch& scratch,
                           const ConstTensor& d_out, const Tensor& d_x) {
  LinearBackward(pass, {buffers.context, d_out, at.out_weight, scratch.d_context});
  AttentionBackwardArgs args;
  args.shape = ShapeOf(pass, layer);
  args.qkv = buffers.qkv;
  args.out = buffers.context;
  args.statistics = buffers.statistics;
  args.d_out = scratch.d_context;
  args.d_qkv = scratch.d_qkv;
  AttentionBackward(*pass.device, args);
  AddColumnSums(*pass.device, scratch.d_qkv, pass.VectorGradient(at.qkv_bias, scratch.d_qkv.dim(1)));
  LinearBackward(pass, {x, scratch.d_qkv, at.qkv_weight, d_x});
}

// ---- feed-forward ----

void FeedForward(const Pass& pass, const LayerOffsets& at, const ConstTensor& x,
                 const FeedForwardBuffers& buffers) {
  const int64_t inner = buffers.up.dim(1);
  const ConstTensor bias = pass.Vector(at.up_bias, inner);
  GemmArgs gemm;
  gemm.a = x;
  gemm.b = pass.Matrix(at.up_weight, inner, x.dim(1));
  gemm.c = buffers.up;
  gemm.trans_b = true;
  GemmWithEpilogue(*pass.device, gemm, [&](const GemmTile& tile) {
    const int64_t columns = tile.column_end - tile.column_begin;
    ActivationForwardArgs args;
    args.activation = ActivationOf(*pass.config);
    args.x = buffers.up.Rows(tile.row_begin, tile.row_end).Columns(tile.column_begin, tile.column_end);
    args.bias = ConstTensor(bias.f32() + tile.column_begin, {columns});
    args.y = buffers.activated.Rows(tile.row_begin, tile.row_end).Columns(tile.column_begin, tile.column_end);
    ActivationForwardOnThread(args);
  });
}

void FeedForwardBackward(const Pass& pass, const LayerOffsets& at, const ConstTensor& x,
                         const FeedForwardBuffers& buffers, const Tensor& d_inner, const ConstTensor& d_out,
                         const Tensor& d_x) {
  const LinearBackwardArgs down = {buffers.activated, d_out, at.down_weight, d_inner};
  LinearBackwardInput(pass, down);
  ActivationBackwardArgs args;
  args.activation = ActivationOf(*pass.config);
  args.x = buffers.up;
  args.bias = pass.Vector(at.up_bias, buffers.up.dim(1));
  args.d_y = d_inner;
  args.d_x = d_inner;
  args.y = buffers.activated;
  args.d_bias = pass.VectorGradient(at.up_bias, buffers.up.dim(1));
  ActivationBackward(*pass.device, args);
  LinearBackwardWeight(pass, down);
  LinearBackward(pass, {x, d_inner, at.up_weight, d_x});
}

}  // namespace shoal
