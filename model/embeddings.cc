#include "model/embeddings.h"

#include "common/base/status.h"
#include "kernels/elementwise.h"
#include "kernels/embedding.h"

namespace shoal {

Embeddings::Embeddings(const ModelPlan& plan, int x)
    : config_(plan.config),
      at_(plan.parameters.embeddings),
      buffers_(plan.buffers),
      x_(x),
      positions_(plan.limits.tokens),
      no_types_(plan.limits.tokens) {
  if (!config_.has_embedding_norm()) return;
  sum_ = plan.AddActivation(plan.limits.tokens, config_.hidden_size);
  mean_ = buffers_->Add(plan.limits.tokens, 1);
  rstd_ = buffers_->Add(plan.limits.tokens, 1);
}

void Embeddings::Number(const Batch& batch) {
  for (int64_t b = 0; b < batch.example_count(); ++b) {
    const int32_t begin = batch.offsets[b], end = batch.offsets[b + 1];
    SHOAL_CHECK(begin < end && end - begin <= config_.max_position_embeddings);
    for (int32_t i = begin; i < end; ++i) {
      positions_[i] = static_cast<int32_t>(i - begin + config_.position_offset());
    }
  }
}

ConstTensor Embeddings::Types(const Pass& pass) const {
  return {pass.batch.types.empty() ? no_types_.data() : pass.batch.types.data(), {pass.tokens()}};
}

ResidualNorm Embeddings::Norm(int64_t tokens) const {
  ResidualNorm norm;
  norm.weight = at_.norm_weight;
  norm.bias = at_.norm_bias;
  norm.buffers = {buffers_->Matrix(sum_, tokens), buffers_->Vector(mean_, tokens),
                  buffers_->Vector(rstd_, tokens), buffers_->Matrix(x_, tokens)};
  return norm;
}

Dropout Embeddings::DropoutOf(const Pass& pass) const {
  return DropoutAt(pass, config_.embedding_dropout_prob, "embeddings");
}

void Embeddings::Forward(const Pass& pass) {
  Number(pass.batch);
  const int64_t hidden = config_.hidden_size, tokens = pass.tokens();
  const Tensor x = buffers_->Matrix(x_, tokens);
  EmbeddingForwardArgs args;
  args.token = {pass.Matrix(at_.words, config_.vocab_size, hidden), {pass.batch.tokens.data(), {tokens}}};
  args.position = {pass.Matrix(at_.positions, config_.position_rows(), hidden),
                   {positions_.data(), {tokens}}};
  if (config_.type_vocab_size > 0) {
    args.type = {pass.Matrix(at_.types, config_.type_vocab_size, hidden), Types(pass)};
  }
  args.y = has_norm() ? buffers_->Matrix(sum_, tokens) : x;
  EmbeddingForward(*pass.device, args);
  if (has_norm()) PlainNorm(pass, Norm(tokens));
  Drop(pass, DropoutOf(pass), x);
}

ConstTensor Embeddings::SumGradient(const Pass& pass, const BackwardArgs& args) {
  ResidualNormBackwardArgs norm;
  norm.d_y = args.d_x;
  norm.d_y_more = args.d_x_more;
  norm.d_sum = args.d_sum;
  const Dropout dropout = DropoutOf(pass);
  if (args.d_x_more.present() && (dropout.rate > 0 || !has_norm())) {
    Add(*pass.device, args.d_x, args.d_x_more, args.scratch);
    norm.d_y = args.scratch;
    norm.d_y_more = {};
  }
  if (dropout.rate > 0) {
    ApplyDropout(*pass.device, {dropout, norm.d_y, {}, args.scratch});
    norm.d_y = args.scratch;
  }
  return has_norm() ? ResidualNormBackward(pass, Norm(pass.tokens()), norm) : norm.d_y;
}

void Embeddings::Backward(const Pass& pass, const BackwardArgs& args) {
  const int64_t tokens = pass.tokens();
  const ConstTensor d_sum = SumGradient(pass, args);
  const auto table = [&](uint64_t offset, int64_t rows, const ConstTensor& ids) {
    EmbeddingBackward(*pass.device, {ids, d_sum, pass.MatrixGradient(offset, rows, config_.hidden_size)});
  };
  table(at_.words, config_.vocab_size, {pass.batch.tokens.data(), {tokens}});
  table(at_.positions, config_.position_rows(), {positions_.data(), {tokens}});
  if (config_.type_vocab_size > 0) table(at_.types, config_.type_vocab_size, Types(pass));
}

}  // namespace shoal
