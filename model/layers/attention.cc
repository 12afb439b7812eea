#include "model/layers/attention.h"

#include "common/base/philox.h"

namespace shoal::model {

Attention::Attention(const LayerPlan& plan, const AttentionSpec& spec)
    : spec_(spec),
      qkv_map_(plan, spec.qkv),
      out_(plan, spec.out),
      qkv_(plan.AddActivation(Use::kKept, qkv_map_.out())),
      statistics_(plan.Add(Use::kKept, plan.limits.tokens, 2 * spec.heads)),
      context_(plan.AddActivation(Use::kKept, out_.in())),
      d_context_(plan.AddActivation(Use::kBackward, out_.in())),
      d_qkv_(plan.AddActivation(Use::kBackward, qkv_map_.out())) {}

kernels::AttentionShape Attention::Shape(const Pass& pass) const {
  kernels::AttentionShape shape;
  shape.heads = spec_.heads;
  shape.head_dim = out_.in() / spec_.heads;
  shape.causal = spec_.causal;
  shape.offsets = pass.batch.offsets;
  shape.attended = pass.batch.attended;
  if (pass.training) {
    shape.dropout.rate = static_cast<float>(spec_.dropout);
    shape.dropout.key = DeriveKey(pass.dropout.key, "attention", {static_cast<uint64_t>(spec_.mask_site)});
    shape.dropout.first_example = pass.dropout.first_example;
  }
  return shape;
}

kernels::ConstTensor Attention::Forward(const Pass& pass, const kernels::ConstTensor& x) {
  kernels::AttentionForwardArgs args;
  const kernels::Tensor qkv = qkv_.Matrix(pass.tokens());
  qkv_map_.Forward(pass, x, qkv);
  args.shape = Shape(pass);
  args.qkv = qkv;
  args.out = context_.Matrix(pass.tokens());
  args.statistics = statistics_.Matrix(pass.tokens());
  kernels::AttentionForward(*pass.device, args);
  return args.out;
}

void Attention::Backward(const Pass& pass, const kernels::ConstTensor& x, const kernels::ConstTensor& d_out,
                         const kernels::Tensor& d_x) {
  kernels::AttentionBackwardArgs args;
  const kernels::Tensor d_context = d_context_.Matrix(pass.tokens());
  args.shape = Shape(pass);
  args.qkv = qkv_.Matrix(pass.tokens());
  args.out = context_.Matrix(pass.tokens());
  args.statistics = statistics_.Matrix(pass.tokens());
  args.d_out = d_context;
  args.d_qkv = d_qkv_.Matrix(pass.tokens());
  out_.BackwardWeight(pass, args.out, d_out);
  out_.BackwardInput(pass, d_out, d_context);
  kernels::AttentionBackward(*pass.device, args);
  qkv_map_.BackwardBias(pass, args.d_qkv);
  qkv_map_.BackwardWeight(pass, x, args.d_qkv);
  qkv_map_.BackwardInput(pass, args.d_qkv, d_x);
}

}  // namespace shoal::model
