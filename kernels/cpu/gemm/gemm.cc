#include "kernels/gemm.h"

#include <algorithm>
#include <vector>

#include "kernels/cpu/gemm/gemm_finish.h"
#include "kernels/cpu/gemm/gemm_onednn_driver.h"
#include "kernels/cpu/gemm/gemm_own_driver.h"
#include "kernels/cpu/gemm/gemm_problem.h"
#include "kernels/cpu/gemm/gemm_tiles.h"

namespace shoal::kernels {
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

void CheckTypes(const GemmArgs& args) {
  const bool is_f32 = args.a.type() == DType::kF32;
  SHOAL_CHECK(is_f32 || args.a.type() == DType::kBf16);
  SHOAL_CHECK(args.b.type() == args.a.type() || args.b.type() == DType::kF32);
  SHOAL_CHECK(args.c.type() == DType::kF32 || (!is_f32 && !args.accumulate));
}

GemmProblem ProblemOf(const CpuDevice& device, const GemmArgs& args) {
  CheckShapes(args);
  CheckTypes(args);
  GemmProblem problem;
  problem.a = args.a.data();
  problem.b = args.b.data();
  problem.c = args.c.data();
  problem.a_type = args.a.type();
  problem.b_type = args.b.type();
  problem.c_type = args.c.type();
  problem.bf16_class = device.bf16_class();
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

OpWork WorkOf(const GemmProblem& p) {
  const double m = p.m, n = p.n, k = p.k;
  const auto bytes = [](DType type, double elements) { return static_cast<double>(SizeOf(type)) * elements; };
  return {2 * m * n * k,
          bytes(p.a_type, m * k) + bytes(p.b_type, k * n) + bytes(p.c_type, (p.accumulate ? 2 : 1) * m * n)};
}

// The product when K is 0.
void FinishEmpty(const GemmProblem& problem) {
  std::vector<float> sums(problem.m * problem.n, 0.0f);
  for (int64_t i = 0; problem.accumulate && i < problem.m; ++i)
    std::copy_n(problem.C<float>(i, 0), problem.n, sums.data() + i * problem.n);
  FinishTile(problem, sums.data(), problem.n);
}

void RunGemm(CpuDevice& device, const GemmProblem& problem, bool whole_rows, Epilogue epilogue) {
  if (problem.m == 0 || problem.n == 0) return;
  if (problem.k == 0) {
    FinishEmpty(problem);
    epilogue({0, problem.m, 0, problem.n, 0});
    return;
  }
  GemmEngine& engine = device.gemm();
  const bool onednn = engine.path() == GemmPath::kOnednn && problem.a_type == DType::kF32;
  onednn ? OnednnGemmF32(engine, problem, whole_rows, epilogue)
         : OwnGemm(engine, problem, whole_rows, epilogue);
}

}  // namespace

void Gemm(Device& device, const GemmArgs& args) {
  CpuDevice& cpu = Cpu(device);
  const GemmProblem problem = ProblemOf(cpu, args);
  const OpTimer timer(device.profile(), "gemm", WorkOf(problem));
  RunGemm(cpu, problem, false, [](const GemmTile&) {});
}

void GemmWithEpilogue(CpuDevice& device, const GemmArgs& args,
                      absl::FunctionRef<void(const GemmTile&)> epilogue) {
  const GemmProblem problem = ProblemOf(device, args);
  const OpTimer timer(device.profile(), "gemm with epilogue", WorkOf(problem));
  RunGemm(device, problem, problem.n <= kWidestWholeRow, epilogue);
}

void GemmOnThread(CpuDevice& device, int thread, const GemmArgs& args) {
  const GemmProblem problem = ProblemOf(device, args);
  if (problem.m == 0 || problem.n == 0) return;
  problem.k == 0 ? FinishEmpty(problem) : OwnGemmOnThread(device.gemm(), thread, problem);
}

}  // namespace shoal::kernels
