#include "kernels/cpu/gemm/gemm_finish.h"

#include <optional>

#include "kernels/cpu/gemm/flush_denormals.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/gemm/gemm_finish.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
#include "kernels/cpu/row-inl.h"

HWY_BEFORE_NAMESPACE();
namespace shoal::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

template <class T>
void FinishRows(const GemmProblem& problem, const float* sums, int64_t stride) {
  const float* bias = problem.bias;
  for (int64_t i = 0; i < problem.m; ++i, sums += stride) {
    T* c = problem.C<T>(i, 0);
    ForRow(problem.n, [&](int64_t j, int64_t, auto lanes) HWY_ATTR {
      const RowVec sum = lanes.Load(sums + j);
      lanes.Store(bias == nullptr ? sum : hn::Add(sum, lanes.Load(bias + j)), c + j);
    });
  }
}

void Finish(const GemmProblem& problem, const float* sums, int64_t stride) {
  problem.c_type == DType::kF32 ? FinishRows<float>(problem, sums, stride)
                                : FinishRows<Bf16>(problem, sums, stride);
}

}  // namespace HWY_NAMESPACE
}  // namespace shoal::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace shoal::kernels {

HWY_EXPORT(Finish);

void FinishTile(const GemmProblem& problem, const float* sums, int64_t stride) {
  if (problem.bias == nullptr && sums == problem.c) return;
  std::optional<FlushDenormals> flush;
  if (problem.a_type == DType::kBf16) flush.emplace();
  HWY_DYNAMIC_DISPATCH(Finish)(problem, sums, stride);
}

}  // namespace shoal::kernels
#endif  // HWY_ONCE
