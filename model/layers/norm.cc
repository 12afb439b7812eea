#include "model/layers/norm.h"

namespace shoal {
namespace {

// The widest row that a GEMM tile holds as a whole (kernels/gemm.h).
constexpr int64_t kWholeRow = 1024;

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

}  // namespace

Norm::Norm(const LayerPlan& plan, const NormSpec& spec, Buffer sum)
    : spec_(spec),
      sum_(sum),
      mean_(plan.Add(Use::kKept, plan.limits.tokens, 1)),
      rstd_(plan.Add(Use::kKept, plan.limits.tokens, 1)) {}

NormForwardArgs Norm::ForwardArgs(const Pass& pass, const Tensor& y) const {
  NormForwardArgs args;
  args.x = sum(pass.tokens());
  args.gamma = pass.Value(spec_.weight);
  args.beta = pass.Value(spec_.bias);
  args.epsilon = static_cast<float>(spec_.epsilon);
  args.y = y;
  args.mean = mean_.Vector(pass.tokens());
  args.rstd = rstd_.Vector(pass.tokens());
  return args;
}

void Norm::Forward(const Pass& pass, const Tensor& y) const {
  NormForward(*pass.device, ForwardArgs(pass, y));
}

void Norm::Forward(const Pass& pass, const ResidualSum& from, const Tensor& y) const {
  const Tensor sums = sum(pass.tokens());
  NormForwardArgs args = ForwardArgs(pass, y);
  args.bias = from.linear->bias(pass);
  args.residual = from.residual;
  args.dropout = from.dropout;
  args.sum = sums;
  if (sums.dim(1) > kWholeRow) {
    from.linear->ForwardProduct(pass, from.x, sums);
    return NormForward(*pass.device, args);
  }
  from.linear->ForwardTiles(pass, from.x, sums, [&](const GemmTile& tile) {
    NormForwardOnThread(RowsOf(args, tile.row_begin, tile.row_end));
  });
}

NormBackwardArgs Norm::BackwardArgs(const Pass& pass, const Gradients& gradients) const {
  NormBackwardArgs args;
  args.sum = sum(pass.tokens());
  args.mean = mean_.Vector(pass.tokens());
  args.rstd = rstd_.Vector(pass.tokens());
  args.gamma = pass.Value(spec_.weight);
  args.d_y = gradients.d_y;
  args.d_y_more = gradients.d_y_more;
  args.d_sum_more = gradients.d_sum_more;
  args.d_sum = gradients.d_sum;
  args.d_gamma = pass.Gradient(spec_.weight);
  args.d_beta = pass.Gradient(spec_.bias);
  return args;
}

void Norm::Backward(const Pass& pass, const Gradients& gradients) const {
  NormBackward(*pass.device, BackwardArgs(pass, gradients));
}

ConstTensor Norm::Backward(const Pass& pass, const ResidualSum& from, const Gradients& gradients,
                           const Tensor& d_branch) const {
  NormBackwardArgs args = BackwardArgs(pass, gradients);
  const bool drops = from.dropout.rate > 0;
  args.dropout = from.dropout;
  if (drops) args.d_x = d_branch;
  args.d_bias = from.linear->bias_gradient(pass);
  NormBackward(*pass.device, args);
  return drops ? d_branch : gradients.d_sum;
}

}  // namespace shoal
