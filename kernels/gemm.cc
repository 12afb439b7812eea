#include "kernels/gemm.h"

#include <algorithm>

#include "kernels/gemm_onednn_driver.h"
#include "kernels/gemm_own_driver.h"
#include "kernels/gemm_problem.h"

namespace shoal {
namespace {

using Epilogue = absl::FunctionRef<void(const GemmTile&)>;

void CheckShapes(const GemmArgs& args) {
  const auto& [a, b, c, trans_a, trans_b, accumulate, bias] = args;
  SHOAL_CHECK(a.rank() == 2 && b.rank() == 2 && c.rank() == 2);
  SHOAL_CHECK(a.dim(trans_a ? 1 : 0) == c.dim(0));
  SHOAL_CHECK(b.dim(trans_b ? 0 : 1) == c.dim(1));
  SHOAL_CHECK(a.dim(trans_a ? 0 : 1) == b.dim(trans_b ? 1 : 0));
  SHOAL_CHECK(!bias.present() || (bias.size() == c.dim(1) && bias.type() == DType::kF32));
}

GemmProblem ProblemOf(const GemmArgs& args) {
  CheckShapes(args);
  GemmProblem problem;
  problem.a = args.a.f32();
  problem.b = args.b.f32();
  problem.c = args.c.f32();
  problem.lda = args.a.row_stride();
  problem.ldb = args.b.row_stride();
  problem.ldc = args.c.row_stride();
  problem.m = args.c.dim(0);
  problem.n = args.c.dim(1);
  problem.k = args.a.dim(args.trans_a ? 0 : 1);
  problem.trans_a = args.trans_a;
  problem.trans_b = args.trans_b;
  problem.accumulate = args.accumulate;
  problem.bias = args.bias.present() ? args.bias.f32() : nullptr;
  return problem;
}

void AddBias(const GemmProblem& problem, const GemmTile& tile) {
  if (problem.bias == nullptr) return;
  for (int64_t i = tile.row_begin; i < tile.row_end; ++i) {
    float* row = problem.C(i, 0);
    for (int64_t j = tile.column_begin; j < tile.column_end; ++j) row[j] += problem.bias[j];
  }
}

OpWork WorkOf(const GemmProblem& p) {
  const double m = p.m, n = p.n, k = p.k;
  return {2 * m * n * k, sizeof(float) * (m * k + k * n + (p.accumulate ? 2 : 1) * m * n)};
}

void Clear(const GemmProblem& problem) {
  for (int64_t i = 0; i < problem.m; ++i) std::fill_n(problem.C(i, 0), problem.n, 0.0f);
}

void GemmF32(Device& device, const GemmProblem& problem, bool whole_rows, Epilogue epilogue) {
  if (problem.m == 0 || problem.n == 0) return;
  const auto finish = [&](const GemmTile& tile) {
    AddBias(problem, tile);
    epilogue(tile);
  };
  if (problem.k == 0) {
    if (!problem.accumulate) Clear(problem);
    finish({0, problem.m, 0, problem.n, 0});
    return;
  }
  device.gemm_path() == GemmPath::kOnednn ? OnednnGemmF32(device, problem, whole_rows, finish)
                                          : OwnGemm(device, problem, whole_rows, finish);
}

}  // namespace

void Gemm(Device& device, const GemmArgs& args) {
  const GemmProblem problem = ProblemOf(args);
  const OpTimer timer(device.profile(), "gemm", WorkOf(problem));
  GemmF32(device, problem, false, [](const GemmTile&) {});
}

void GemmWithEpilogue(Device& device, const GemmArgs& args,
                      absl::FunctionRef<void(const GemmTile&)> epilogue) {
  const GemmProblem problem = ProblemOf(args);
  const OpTimer timer(device.profile(), "gemm with epilogue", WorkOf(problem));
  GemmF32(device, problem, problem.n <= 1024, epilogue);
}

void GemmOnThread(Device& device, int thread, const GemmArgs& args) {
  const GemmProblem problem = ProblemOf(args);
  if (problem.m == 0 || problem.n == 0) return;
  if (problem.k == 0 && !problem.accumulate) Clear(problem);
  OwnGemmOnThread(device, thread, problem);
  AddBias(problem, {0, problem.m, 0, problem.n, thread});
}

}  // namespace shoal
