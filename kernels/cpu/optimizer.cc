#include "kernels/optimizer.h"

#include <cmath>

#include "common/base/status.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/optimizer.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
#include "kernels/cpu/row-inl.h"

#ifndef SHOAL_KERNELS_OPTIMIZER_CPU_ONCE
#define SHOAL_KERNELS_OPTIMIZER_CPU_ONCE
namespace shoal::kernels {

// A step's numbers, each rounded once from f64.
struct UpdateScalars {
  float gradient_scale = 1;
  float decay = 0;          // L2: added to the gradient, times the parameter
  float keep = 1;           // decoupled: 1 - lr decay
  float learning_rate = 0;  // with Adam: divided by 1 - beta1^t
  float momentum = 0;
  bool nesterov = false;
  float one_minus_beta1 = 0;
  float beta2 = 0;
  float one_minus_beta2 = 0;
  float denominator_scale = 1;  // 1 / sqrt(1 - beta2^t)
  float epsilon = 0;
};

}  // namespace shoal::kernels
#endif

HWY_BEFORE_NAMESPACE();
namespace shoal::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Scaled gradient, with L2 decay.
template <class Lanes>
HWY_INLINE RowVec GradientOf(const UpdateScalars& s, const OptimizerArrays& arrays, Lanes lanes, int64_t i,
                             RowVec parameter) {
  const RowVec gradient = hn::Mul(lanes.Load(arrays.gradient.data() + i), RowSet(s.gradient_scale));
  return hn::MulAdd(parameter, RowSet(s.decay), gradient);
}

void SgdUpdate(const UpdateScalars& s, const OptimizerArrays& arrays) {
  float* momentum = arrays.first_moment.empty() ? nullptr : arrays.first_moment.data();
  ForRow(arrays.parameters.size(), [&](int64_t i, int64_t, auto lanes) HWY_ATTR {
    const RowVec parameter = lanes.Load(arrays.parameters.data() + i);
    RowVec direction = GradientOf(s, arrays, lanes, i, parameter);
    if (momentum != nullptr) {
      const RowVec m = hn::MulAdd(lanes.Load(momentum + i), RowSet(s.momentum), direction);
      lanes.Store(m, momentum + i);
      direction = s.nesterov ? hn::MulAdd(m, RowSet(s.momentum), direction) : m;
    }
    lanes.Store(hn::NegMulAdd(direction, RowSet(s.learning_rate), parameter), arrays.out.data() + i);
  });
}

void AdamUpdate(const UpdateScalars& s, const OptimizerArrays& arrays) {
  float* first = arrays.first_moment.data();
  float* second = arrays.second_moment.data();
  ForRow(arrays.parameters.size(), [&](int64_t i, int64_t, auto lanes) HWY_ATTR {
    const RowVec parameter = lanes.Load(arrays.parameters.data() + i);
    const RowVec gradient = GradientOf(s, arrays, lanes, i, parameter);
    const RowVec m_before = lanes.Load(first + i);
    const RowVec m = hn::MulAdd(hn::Sub(gradient, m_before), RowSet(s.one_minus_beta1), m_before);
    const RowVec square = hn::Mul(hn::Mul(gradient, gradient), RowSet(s.one_minus_beta2));
    const RowVec v = hn::MulAdd(lanes.Load(second + i), RowSet(s.beta2), square);
    lanes.Store(m, first + i);
    lanes.Store(v, second + i);
    const RowVec root = hn::MulAdd(hn::Sqrt(v), RowSet(s.denominator_scale), RowSet(s.epsilon));
    const RowVec kept = hn::Mul(parameter, RowSet(s.keep));
    lanes.Store(hn::NegMulAdd(hn::Div(m, root), RowSet(s.learning_rate), kept), arrays.out.data() + i);
  });
}

double SumOfSquares(absl::Span<const float> x) {
  constexpr int64_t kLanes = kRowLanes / 2;  // of f64
  constexpr int64_t kParts = kRowGroup / kLanes;
  const hn::FixedTag<double, kLanes> d;
  const hn::Rebind<float, decltype(d)> half;
  hn::Vec<decltype(d)> sums[kParts];
  for (auto& sum : sums) sum = hn::Zero(d);
  const auto add = [&](const float* from) HWY_ATTR {
#pragma GCC unroll 4
    for (int64_t part = 0; part < kParts; ++part) {
      const auto v = hn::PromoteTo(d, hn::LoadU(half, from + part * kLanes));
      sums[part] = hn::MulAdd(v, v, sums[part]);
    }
  };
  const int64_t size = x.size(), whole = size / kRowGroup * kRowGroup;
  for (int64_t i = 0; i < whole; i += kRowGroup) add(x.data() + i);
  HWY_ALIGN float rest[kRowGroup] = {};
  std::copy(x.begin() + whole, x.end(), rest);
  add(rest);
  HWY_ALIGN double s[kRowGroup];
  for (int64_t part = 0; part < kParts; ++part) hn::Store(sums[part], d, s + part * kLanes);
  for (int64_t width = kRowGroup / 2; width > 0; width /= 2) {
    for (int64_t i = 0; i < width; ++i) s[i] += s[i + width];
  }
  return s[0];
}

}  // namespace HWY_NAMESPACE
}  // namespace shoal::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace shoal::kernels {
namespace {

HWY_EXPORT(SgdUpdate);
HWY_EXPORT(AdamUpdate);
HWY_EXPORT(SumOfSquares);

// By repeated squaring; libm's pow may differ from one processor to another.
double Power(double base, uint64_t exponent) {
  double power = 1;
  for (; exponent > 0; exponent /= 2, base *= base) {
    if (exponent % 2 == 1) power *= base;
  }
  return power;
}

UpdateScalars ScalarsOf(const OptimizerConfig& config, const OptimizerStep& step) {
  const double decay = step.decay ? config.weight_decay : 0.0;
  const bool decoupled = config.kind == OptimizerKind::kAdamW;
  UpdateScalars s;
  s.gradient_scale = static_cast<float>(step.gradient_scale);
  s.decay = decoupled ? 0.0f : static_cast<float>(decay);
  s.keep = decoupled ? static_cast<float>(1 - step.learning_rate * decay) : 1.0f;
  s.learning_rate = static_cast<float>(step.learning_rate);
  s.momentum = static_cast<float>(config.momentum);
  s.nesterov = config.nesterov;
  if (config.kind == OptimizerKind::kSgd) return s;
  s.learning_rate = static_cast<float>(step.learning_rate / (1 - Power(config.beta1, step.step)));
  s.one_minus_beta1 = static_cast<float>(1 - config.beta1);
  s.beta2 = static_cast<float>(config.beta2);
  s.one_minus_beta2 = static_cast<float>(1 - config.beta2);
  s.denominator_scale = static_cast<float>(1 / std::sqrt(1 - Power(config.beta2, step.step)));
  s.epsilon = static_cast<float>(config.epsilon);
  return s;
}

void Check(const OptimizerConfig& config, const OptimizerStep& step, const OptimizerArrays& arrays) {
  const size_t size = arrays.parameters.size();
  const int moments = MomentCount(config);
  SHOAL_CHECK(step.step >= 1 && arrays.gradient.size() == size && arrays.out.size() == size);
  SHOAL_CHECK(arrays.first_moment.size() == (moments >= 1 ? size : 0));
  SHOAL_CHECK(arrays.second_moment.size() == (moments >= 2 ? size : 0));
}

}  // namespace

int MomentCount(const OptimizerConfig& config) {
  if (config.kind == OptimizerKind::kSgd) return config.momentum != 0 ? 1 : 0;
  return 2;
}

void UpdateParameters(const OptimizerConfig& config, const OptimizerStep& step,
                      const OptimizerArrays& arrays) {
  Check(config, step, arrays);
  const UpdateScalars scalars = ScalarsOf(config, step);
  config.kind == OptimizerKind::kSgd ? HWY_DYNAMIC_DISPATCH(SgdUpdate)(scalars, arrays)
                                     : HWY_DYNAMIC_DISPATCH(AdamUpdate)(scalars, arrays);
}

double SquaredNorm(absl::Span<const float> x) { return HWY_DYNAMIC_DISPATCH(SumOfSquares)(x); }

}  // namespace shoal::kernels
#endif  // HWY_ONCE
