#include "model/layers/low_rank.h"

#include "kernels/elementwise.h"
#include "kernels/gemm.h"

namespace shoal::model {
namespace {

// `y`: a Tensor or a ConstTensor [N,out].
template <typename T>
T ColumnsOf(const T& y, const LowRankSpec& spec) {
  return y.Columns(spec.first_row, spec.first_row + spec.b.rows);
}

}  // namespace

LowRank::LowRank(const LayerPlan& plan, const LinearSpec& spec) {
  if (spec.low_rank.empty()) return;
  const int64_t in = spec.weight.columns, rank = spec.low_rank.front().a.rows;
  for (const LowRankSpec& part : spec.low_rank)
    parts_.push_back({part, plan.AddActivation(Use::kKept, rank)});
  dropped_ = plan.AddActivation(Use::kForward, in);
  sum_ = plan.AddActivation(Use::kForward, spec.weight.rows);
  dropped_in_backward_ = plan.AddActivation(Use::kBackward, in);
  d_inner_ = plan.AddActivation(Use::kBackward, rank);
  d_x_ = plan.AddActivation(Use::kBackward, in);
}

kernels::Dropout LowRank::DropoutOf(const Pass& pass, const Part& part) const {
  return DropoutAt(pass, part.spec.dropout, "low rank", static_cast<int64_t>(part.spec.a.offset));
}

kernels::ConstTensor LowRank::Dropped(const Pass& pass, const Part& part, const kernels::ConstTensor& x,
                                      const Buffer& memory) const {
  const kernels::Dropout dropout = DropoutOf(pass, part);
  if (dropout.rate == 0) return x;
  const kernels::Tensor dropped = memory.Matrix(pass.tokens());
  kernels::ApplyDropout(*pass.device, {dropout, x, {}, dropped});
  return dropped;
}

void LowRank::Forward(const Pass& pass, const kernels::ConstTensor& x, const kernels::Tensor& y) const {
  if (parts_.empty()) return;
  const kernels::Tensor sum = sum_.Matrix(pass.tokens());
  kernels::SetZero(*pass.device, sum);
  for (const Part& part : parts_) {
    const kernels::Tensor inner = part.inner.Matrix(pass.tokens());
    kernels::GemmArgs down;
    down.a = Dropped(pass, part, x, dropped_);
    down.b = pass.Value(part.spec.a);
    down.c = inner;
    down.trans_b = true;
    kernels::Gemm(*pass.device, down);
    kernels::Scale(*pass.device, inner, static_cast<float>(part.spec.scale), inner);
    kernels::GemmArgs up;
    up.a = inner;
    up.b = pass.Value(part.spec.b);
    up.c = ColumnsOf(sum, part.spec);
    up.trans_b = true;
    kernels::Gemm(*pass.device, up);
  }
  kernels::Add(*pass.device, y, sum, y);
}

kernels::Tensor LowRank::InnerGradient(const Pass& pass, const Part& part,
                                       const kernels::ConstTensor& d_y) const {
  const kernels::Tensor d_inner = d_inner_.Matrix(pass.tokens());
  kernels::GemmArgs gemm;
  gemm.a = ColumnsOf(d_y, part.spec);
  gemm.b = pass.Value(part.spec.b);
  gemm.c = d_inner;
  kernels::Gemm(*pass.device, gemm);
  kernels::Scale(*pass.device, d_inner, static_cast<float>(part.spec.scale), d_inner);
  return d_inner;
}

void LowRank::BackwardWeights(const Pass& pass, const kernels::ConstTensor& x,
                              const kernels::ConstTensor& d_y) const {
  const auto product = [&](const kernels::ConstTensor& a, const kernels::ConstTensor& b,
                           const MatrixParameter& parameter) {
    kernels::GemmArgs gemm;
    gemm.a = a;
    gemm.b = b;
    gemm.c = pass.Gradient(parameter);
    gemm.trans_a = true;
    gemm.accumulate = pass.adds_to(parameter.group);
    kernels::Gemm(*pass.device, gemm);
  };
  for (const Part& part : parts_) {
    product(ColumnsOf(d_y, part.spec), part.inner.Matrix(pass.tokens()), part.spec.b);
    product(InnerGradient(pass, part, d_y), Dropped(pass, part, x, dropped_in_backward_), part.spec.a);
  }
}

void LowRank::BackwardInput(const Pass& pass, const kernels::ConstTensor& d_y,
                            const kernels::Tensor& d_x) const {
  for (const Part& part : parts_) {
    const kernels::Tensor d_part = d_x_.Matrix(pass.tokens());
    kernels::GemmArgs gemm;
    gemm.a = InnerGradient(pass, part, d_y);
    gemm.b = pass.Value(part.spec.a);
    gemm.c = d_part;
    kernels::Gemm(*pass.device, gemm);
    Drop(pass, DropoutOf(pass, part), d_part);
    kernels::Add(*pass.device, d_x, d_part, d_x);
  }
}

}  // namespace shoal::model
