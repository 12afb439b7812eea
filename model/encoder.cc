#include "model/encoder.h"

#include "common/status.h"

namespace shoal {

// ---- buffers ----

int BufferSet::Add(int64_t rows, int64_t columns) {
  const int64_t bytes = rows * columns * static_cast<int64_t>(sizeof(float));
  shapes_.push_back({rows, columns, bytes_});
  bytes_ += (bytes + kBufferAlignment_bytes - 1) / kBufferAlignment_bytes * kBufferAlignment_bytes;
  return static_cast<int>(shapes_.size()) - 1;
}

void BufferSet::Allocate() { arena_.Reserve(bytes_); }

Tensor BufferSet::Matrix(int buffer, int64_t rows) const {
  const Shape& shape = shapes_[buffer];
  SHOAL_CHECK(rows <= shape.rows);
  return {reinterpret_cast<float*>(arena_.At(shape.offset_bytes)), {rows, shape.columns}};
}

Tensor BufferSet::Vector(int buffer, int64_t size) const {
  const Shape& shape = shapes_[buffer];
  SHOAL_CHECK(size <= shape.rows * shape.columns);
  return {reinterpret_cast<float*>(arena_.At(shape.offset_bytes)), {size}};
}

// ---- the stack ----

Encoder::Encoder(const ModelConfig& config, const Parameters& parameters, const BatchLimits& limits, int x,
                 BufferSet* buffers)
    : config_(config), parameters_(parameters), buffers_(buffers), x_(x) {
  const int64_t hidden = config.hidden_size, tokens = limits.tokens;
  for (int64_t layer = 0; layer < layers(); ++layer) {
    norms_.push_back(AddNorm(limits, pre() && layer == 0 ? x : -1, buffers));
    ids_.push_back({buffers->Add(tokens, 3 * hidden), buffers->Add(tokens, 2 * config.num_attention_heads),
                    buffers->Add(tokens, hidden), buffers->Add(tokens, config.intermediate_size),
                    buffers->Add(tokens, config.intermediate_size)});
    norms_.push_back(AddNorm(limits, -1, buffers));
  }
  if (pre()) norms_.push_back(AddNorm(limits, -1, buffers));
  d_main_ = buffers->Add(tokens, hidden);
  d_residual_ = buffers->Add(tokens, hidden);
  d_branch_ = buffers->Add(tokens, hidden);
  d_context_ = buffers->Add(tokens, hidden);
  d_qkv_ = buffers->Add(tokens, 3 * hidden);
  d_inner_ = buffers->Add(tokens, config.intermediate_size);
}

Encoder::NormIds Encoder::AddNorm(const BatchLimits& limits, int sum, BufferSet* buffers) {
  if (sum < 0) sum = buffers->Add(limits.tokens, config_.hidden_size);
  return {sum, buffers->Add(limits.tokens, config_.hidden_size), buffers->Add(limits.tokens, 1),
          buffers->Add(limits.tokens, 1)};
}

// Post-norm: norm i is behind sub-layer i, whose input is the residual. Pre-norm: norm i is in front of
// sub-layer i, so behind sub-layer i - 1, and the residual is what norm i - 1 normalised.
ResidualNorm Encoder::Norm(const Pass& pass, int64_t index, int64_t tokens) const {
  const NormIds& ids = norms_[index];
  ResidualNorm norm;
  norm.buffers = {buffers_->Matrix(ids.sum, tokens), buffers_->Matrix(ids.y, tokens),
                  buffers_->Vector(ids.mean, tokens), buffers_->Vector(ids.rstd, tokens)};
  if (index == 2 * layers()) {
    norm.weight = parameters_.head.norm_weight;
    norm.bias = parameters_.head.norm_bias;
  } else {
    const LayerOffsets& at = parameters_.layers[index / 2];
    norm.weight = index % 2 == 0 ? at.attention_norm_weight : at.feed_forward_norm_weight;
    norm.bias = index % 2 == 0 ? at.attention_norm_bias : at.feed_forward_norm_bias;
  }
  const int64_t sublayer = pre() ? index - 1 : index;
  if (sublayer < 0) return norm;
  const LayerOffsets& at = parameters_.layers[sublayer / 2];
  norm.branch_bias = sublayer % 2 == 0 ? at.out_bias : at.down_bias;
  norm.dropout = HiddenDropout(pass, "sublayer", sublayer);
  norm.residual = pre() ? buffers_->Matrix(norms_[index - 1].sum, tokens) : SublayerInput(sublayer, tokens);
  return norm;
}

Tensor Encoder::SublayerInput(int64_t index, int64_t tokens) const {
  if (pre()) return buffers_->Matrix(norms_[index].y, tokens);
  return buffers_->Matrix(index == 0 ? x_ : norms_[index - 1].y, tokens);
}

AttentionBuffers Encoder::Attention(int64_t layer, int64_t tokens) const {
  const LayerIds& ids = ids_[layer];
  return {buffers_->Matrix(ids.qkv, tokens), buffers_->Matrix(ids.statistics, tokens),
          buffers_->Matrix(ids.context, tokens)};
}

FeedForwardBuffers Encoder::Inner(int64_t layer, int64_t tokens) const {
  return {buffers_->Matrix(ids_[layer].up, tokens), buffers_->Matrix(ids_[layer].activated, tokens)};
}

Tensor Encoder::Output(int64_t tokens) const { return buffers_->Matrix(norms_.back().y, tokens); }
Tensor Encoder::OutputGradient(int64_t tokens) const { return buffers_->Matrix(d_main_, tokens); }
Tensor Encoder::Scratch(int64_t tokens) const { return buffers_->Matrix(d_branch_, tokens); }

ConstTensor Encoder::InputGradient(int64_t tokens) const {
  return buffers_->Matrix(pre() ? d_residual_ : d_main_, tokens);
}
ConstTensor Encoder::InputGradientMore(int64_t tokens) const {
  return pre() ? ConstTensor() : ConstTensor(buffers_->Matrix(d_residual_, tokens));
}

bool Encoder::Forward(const Pass& pass, int64_t tokens, Model::WaitGroup wait_group) {
  for (int64_t layer = 0; layer < layers(); ++layer) {
    if (!wait_group(static_cast<int>(layer + 1))) return false;
    if (pre() && layer == 0) PlainNorm(pass, Norm(pass, 0, tokens));
    SublayerForward(pass, 2 * layer, tokens);
    // The norm behind the last sub-layer of a pre-norm layer belongs to the next group.
    if (pre() && !wait_group(static_cast<int>(layer + 2))) return false;
    SublayerForward(pass, 2 * layer + 1, tokens);
  }
  return true;
}

void Encoder::SublayerForward(const Pass& pass, int64_t index, int64_t tokens) {
  const int64_t layer = index / 2;
  const LayerOffsets& at = parameters_.layers[layer];
  const Tensor x = SublayerInput(index, tokens);
  const ResidualNorm norm = Norm(pass, pre() ? index + 1 : index, tokens);
  if (index % 2 == 0) {
    SelfAttention(pass, at, layer, x, Attention(layer, tokens));
    LinearResidualNorm(pass, Attention(layer, tokens).context, at.out_weight, norm);
  } else {
    FeedForward(pass, at, x, Inner(layer, tokens));
    LinearResidualNorm(pass, Inner(layer, tokens).activated, at.down_weight, norm);
  }
}

void Encoder::SublayerBackward(const Pass& pass, int64_t index, int64_t tokens, const ConstTensor& d_branch) {
  const int64_t layer = index / 2;
  const LayerOffsets& at = parameters_.layers[layer];
  const Tensor x = SublayerInput(index, tokens), d_x = buffers_->Matrix(d_main_, tokens);
  if (index % 2 == 0) {
    const AttentionScratch scratch = {buffers_->Matrix(d_context_, tokens), buffers_->Matrix(d_qkv_, tokens)};
    SelfAttentionBackward(pass, at, layer, x, Attention(layer, tokens), scratch, d_branch, d_x);
  } else {
    FeedForwardBackward(pass, at, x, Inner(layer, tokens), buffers_->Matrix(d_inner_, tokens), d_branch, d_x);
  }
}

void Encoder::Backward(const Pass& pass, int64_t tokens, Model::GroupFinal group_final) {
  const Tensor main = buffers_->Matrix(d_main_, tokens), residual = buffers_->Matrix(d_residual_, tokens);
  const Tensor branch = buffers_->Matrix(d_branch_, tokens);
  const int64_t last = 2 * layers() - 1;
  ConstTensor d_branch;
  if (pre()) {
    ResidualNormBackwardArgs args;
    args.d_y = main;
    args.d_sum = residual;
    args.d_branch = branch;
    d_branch = ResidualNormBackward(pass, Norm(pass, last + 1, tokens), args);
    group_final(static_cast<int>(layers() + 1));
  }
  for (int64_t index = last; index >= 0; --index) {
    ResidualNormBackwardArgs args;
    args.d_y = main;
    args.d_sum = residual;
    args.d_branch = branch;
    if (pre()) {
      SublayerBackward(pass, index, tokens, d_branch);
      args.d_sum_more = residual;
      d_branch = ResidualNormBackward(pass, Norm(pass, index, tokens), args);
    } else {
      if (index < last) args.d_y_more = residual;
      d_branch = ResidualNormBackward(pass, Norm(pass, index, tokens), args);
      SublayerBackward(pass, index, tokens, d_branch);
    }
    if (index % 2 == 0) group_final(static_cast<int>(index / 2 + 1));
  }
}

}  // namespace shoal
