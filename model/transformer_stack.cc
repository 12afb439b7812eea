#include "model/transformer_stack.h"

namespace shoal {
namespace {

constexpr Lifetime kInForward = {Phase::kForward, Phase::kForward};
constexpr Lifetime kInBackward = {Phase::kBackward, Phase::kBackward};

}  // namespace

TransformerStack::TransformerStack(const ModelPlan& plan, int x)
    : config_(plan.config),
      parameters_(plan.parameters),
      buffers_(plan.buffers),
      x_(x),
      y_(plan.AddActivation(plan.limits.tokens, config_.hidden_size, {Phase::kForward, Phase::kHead})),
      activated_(plan.AddActivation(plan.limits.tokens, config_.intermediate_size, kInForward)),
      y_again_(plan.AddActivation(plan.limits.tokens, config_.hidden_size, kInBackward)),
      activated_again_(plan.AddActivation(plan.limits.tokens, config_.intermediate_size, kInBackward)) {
  const int64_t hidden = config_.hidden_size, inner = config_.intermediate_size, tokens = plan.limits.tokens;
  for (int64_t layer = 0; layer < layers(); ++layer) {
    norms_.push_back(AddNorm(plan, pre() && layer == 0 ? x : -1));
    ids_.push_back({plan.AddActivation(tokens, 3 * hidden),
                    buffers_->Add(tokens, 2 * config_.num_attention_heads),
                    plan.AddActivation(tokens, hidden), plan.AddActivation(tokens, inner)});
    norms_.push_back(AddNorm(plan, -1));
  }
  if (pre()) norms_.push_back(AddNorm(plan, -1));
  d_main_ = plan.AddActivation(tokens, hidden, {Phase::kHead, Phase::kBackward});
  d_residual_ = plan.AddActivation(tokens, hidden, kInBackward);
  d_branch_ = plan.AddActivation(tokens, hidden, kInBackward);
  d_context_ = plan.AddActivation(tokens, hidden, kInBackward);
  d_qkv_ = plan.AddActivation(tokens, 3 * hidden, kInBackward);
  d_inner_ = plan.AddActivation(tokens, inner, kInBackward);
}

TransformerStack::NormIds TransformerStack::AddNorm(const ModelPlan& plan, int sum) {
  const int64_t tokens = plan.limits.tokens;
  if (sum < 0) sum = plan.AddActivation(tokens, config_.hidden_size);
  return {sum, buffers_->Add(tokens, 1), buffers_->Add(tokens, 1)};
}

// Post-norm: norm i is behind sub-layer i, whose input is the residual. Pre-norm: norm i is in front of
// sub-layer i, so behind sub-layer i - 1, and the residual is what norm i - 1 normalised.
ResidualNorm TransformerStack::Norm(const Pass& pass, int64_t index) const {
  const int64_t tokens = pass.tokens();
  const NormIds& ids = norms_[index];
  ResidualNorm norm;
  norm.buffers = {buffers_->Matrix(ids.sum, tokens), buffers_->Vector(ids.mean, tokens),
                  buffers_->Vector(ids.rstd, tokens), buffers_->Matrix(y_, tokens)};
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
  norm.dropout = DropoutAt(pass, config_.hidden_dropout_prob, "sublayer", sublayer);
  norm.residual = pre() ? buffers_->Matrix(norms_[index - 1].sum, tokens) : SublayerInput(sublayer, tokens);
  return norm;
}

Tensor TransformerStack::SublayerInput(int64_t index, int64_t tokens) const {
  return buffers_->Matrix(pre() || index > 0 ? y_ : x_, tokens);
}

ConstTensor TransformerStack::RecomputeSublayerInput(const Pass& pass, int64_t index) const {
  const int64_t norm = pre() ? index : index - 1;
  if (norm < 0) return buffers_->Matrix(x_, pass.tokens());
  const Tensor y = buffers_->Matrix(y_again_, pass.tokens());
  RecomputeNorm(pass, Norm(pass, norm), y);
  return y;
}

AttentionBuffers TransformerStack::Attention(int64_t layer, int64_t tokens) const {
  const LayerIds& ids = ids_[layer];
  return {buffers_->Matrix(ids.qkv, tokens), buffers_->Matrix(ids.statistics, tokens),
          buffers_->Matrix(ids.context, tokens)};
}

FeedForwardBuffers TransformerStack::Inner(int64_t layer, int activated, int64_t tokens) const {
  return {buffers_->Matrix(ids_[layer].up, tokens), buffers_->Matrix(activated, tokens)};
}

Tensor TransformerStack::Output(int64_t tokens) const { return buffers_->Matrix(y_, tokens); }
Tensor TransformerStack::OutputGradient(int64_t tokens) const { return buffers_->Matrix(d_main_, tokens); }
Tensor TransformerStack::Scratch(int64_t tokens) const { return buffers_->Matrix(d_branch_, tokens); }

ConstTensor TransformerStack::InputGradient(int64_t tokens) const {
  return buffers_->Matrix(pre() ? d_residual_ : d_main_, tokens);
}
ConstTensor TransformerStack::InputGradientMore(int64_t tokens) const {
  return pre() ? ConstTensor() : ConstTensor(buffers_->Matrix(d_residual_, tokens));
}

bool TransformerStack::Forward(const Pass& pass, Model::WaitGroup wait_group) {
  for (int64_t layer = 0; layer < layers(); ++layer) {
    if (!wait_group(static_cast<int>(layer + 1))) return false;
    if (pre() && layer == 0) PlainNorm(pass, Norm(pass, 0));
    SublayerForward(pass, 2 * layer);
    // The norm behind the last sub-layer of a pre-norm layer belongs to the next group.
    if (pre() && !wait_group(static_cast<int>(layer + 2))) return false;
    SublayerForward(pass, 2 * layer + 1);
  }
  return true;
}

void TransformerStack::SublayerForward(const Pass& pass, int64_t index) {
  const int64_t layer = index / 2, tokens = pass.tokens();
  const LayerOffsets& at = parameters_.layers[layer];
  const Tensor x = SublayerInput(index, tokens);
  const ResidualNorm norm = Norm(pass, pre() ? index + 1 : index);
  if (index % 2 == 0) {
    SelfAttention(pass, at, layer, x, Attention(layer, tokens));
    LinearResidualNorm(pass, Attention(layer, tokens).context, at.out_weight, norm);
  } else {
    const FeedForwardBuffers inner = Inner(layer, activated_, tokens);
    FeedForward(pass, at, x, inner);
    LinearResidualNorm(pass, inner.activated, at.down_weight, norm);
  }
}

void TransformerStack::SublayerBackward(const Pass& pass, int64_t index, const ConstTensor& d_branch) {
  const int64_t layer = index / 2, tokens = pass.tokens();
  const LayerOffsets& at = parameters_.layers[layer];
  const ConstTensor x = RecomputeSublayerInput(pass, index);
  const Tensor d_x = buffers_->Matrix(d_main_, tokens);
  if (index % 2 == 0) {
    const AttentionScratch scratch = {buffers_->Matrix(d_context_, tokens), buffers_->Matrix(d_qkv_, tokens)};
    SelfAttentionBackward(pass, at, layer, x, Attention(layer, tokens), scratch, d_branch, d_x);
  } else {
    FeedForwardBackward(pass, at, x, Inner(layer, activated_again_, tokens),
                        buffers_->Matrix(d_inner_, tokens), d_branch, d_x);
  }
}

void TransformerStack::Backward(const Pass& pass, Model::GroupFinal group_final) {
  const int64_t tokens = pass.tokens();
  const Tensor main = buffers_->Matrix(d_main_, tokens), residual = buffers_->Matrix(d_residual_, tokens);
  const Tensor branch = buffers_->Matrix(d_branch_, tokens);
  const int64_t last = 2 * layers() - 1;
  ConstTensor d_branch;
  if (pre()) {
    ResidualNormBackwardArgs args;
    args.d_y = main;
    args.d_sum = residual;
    args.d_branch = branch;
    d_branch = ResidualNormBackward(pass, Norm(pass, last + 1), args);
    group_final(static_cast<int>(layers() + 1));
  }
  for (int64_t index = last; index >= 0; --index) {
    ResidualNormBackwardArgs args;
    args.d_y = main;
    args.d_sum = residual;
    args.d_branch = branch;
    if (pre()) {
      SublayerBackward(pass, index, d_branch);
      args.d_sum_more = residual;
      d_branch = ResidualNormBackward(pass, Norm(pass, index), args);
    } else {
      if (index < last) args.d_y_more = residual;
      d_branch = ResidualNormBackward(pass, Norm(pass, index), args);
      SublayerBackward(pass, index, d_branch);
    }
    if (index % 2 == 0) group_final(static_cast<int>(index / 2 + 1));
  }
}

}  // namespace shoal
