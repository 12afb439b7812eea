#include "kernels/linear.h"

#include "common/base/status.h"
#include "kernels/cpu/cpu_device.h"
#include "kernels/cpu/gemm/gemm_tiles.h"
#include "kernels/cpu/on_thread.h"
#include "kernels/gemm.h"

namespace shoal::kernels {
namespace {

GemmArgs ProductOf(const ConstTensor& x, const ConstTensor& weight, const Tensor& y) {
  GemmArgs gemm;
  gemm.a = x;
  gemm.b = weight;
  gemm.c = y;
  gemm.trans_b = true;
  return gemm;
}

ActivationForwardArgs TileOf(const LinearActivationArgs& args, const GemmTile& tile) {
  ActivationForwardArgs part;
  part.activation = args.activation;
  part.x = args.product.Rows(tile.row_begin, tile.row_end).Columns(tile.column_begin, tile.column_end);
  if (args.bias.present()) part.bias = args.bias.Rows(tile.column_begin, tile.column_end);
  part.y = args.y.Rows(tile.row_begin, tile.row_end).Columns(tile.column_begin, tile.column_end);
  return part;
}

bool SameSize(const ConstTensor& a, const ConstTensor& b) {
  return a.dim(0) == b.dim(0) && a.dim(1) == b.dim(1);
}

template <typename Any>
Any RowsIfPresent(const Any& x, int64_t begin, int64_t end) {
  return x.present() ? x.Rows(begin, end) : x;
}

NormForwardArgs CutRows(const NormForwardArgs& args, int64_t begin, int64_t end) {
  NormForwardArgs rows = args;
  rows.x = args.x.Rows(begin, end);
  rows.residual = RowsIfPresent(args.residual, begin, end);
  rows.sum = args.sum.Rows(begin, end);
  rows.y = args.y.Rows(begin, end);
  rows.mean = RowsIfPresent(args.mean, begin, end);
  rows.rstd = RowsIfPresent(args.rstd, begin, end);
  rows.dropout = FromRow(args.dropout, begin);
  return rows;
}

}  // namespace

void LinearActivation(Device& device, const LinearActivationArgs& args) {
  SHOAL_CHECK(SameSize(args.product, args.y));
  SHOAL_CHECK(!args.bias.present() || args.bias.dim(0) == args.product.dim(1));
  GemmWithEpilogue(Cpu(device), ProductOf(args.x, args.weight, args.product),
                   [&](const GemmTile& tile) { ActivationForwardOnThread(TileOf(args, tile)); });
}

void LinearResidualNorm(Device& device, const LinearResidualNormArgs& args) {
  SHOAL_CHECK(args.norm.sum.present() && SameSize(args.norm.sum, args.norm.y));
  SHOAL_CHECK(!args.norm.residual.present() || SameSize(args.norm.sum, args.norm.residual));
  NormForwardArgs norm = args.norm;
  norm.x = norm.sum;  // becomes the sum in place
  const GemmArgs product = ProductOf(args.x, args.weight, norm.sum);
  if (norm.sum.dim(1) > kWidestWholeRow) {
    Gemm(device, product);
    return NormForward(device, norm);
  }
  GemmWithEpilogue(Cpu(device), product, [&](const GemmTile& tile) {
    NormForwardOnThread(CutRows(norm, tile.row_begin, tile.row_end));
  });
}

}  // namespace shoal::kernels
