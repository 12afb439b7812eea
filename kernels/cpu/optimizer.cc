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
  float bias_correction = 1;  // LAMB: 1 / (1 - beta1^t)
  RowPlace place;             // Adafactor
  int64_t rows = 0;           // Adafactor: the pieces of rows at `place`; 0: not factored
};

// Adafactor: added to squared gradients, and their largest value, so that sums of them are finite.
constexpr float kSquareFloor = 1e-30f;
constexpr float kMaxSquare = 1e30f;

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

// Adam's m / (sqrt(v) / sqrt(1 - beta2^t) + epsilon), with the moments of this step.
template <bool kStoreMoments, class Lanes>
HWY_INLINE RowVec AdamDirection(const UpdateScalars& s, const OptimizerArrays& arrays, Lanes lanes, int64_t i,
                                RowVec parameter) {
  float* first = arrays.first_moment.data() + i;
  float* second = arrays.second_moment.data() + i;
  const RowVec gradient = GradientOf(s, arrays, lanes, i, parameter);
  const RowVec m_before = lanes.Load(first);
  const RowVec m = hn::MulAdd(hn::Sub(gradient, m_before), RowSet(s.one_minus_beta1), m_before);
  const RowVec square = hn::Mul(hn::Mul(gradient, gradient), RowSet(s.one_minus_beta2));
  const RowVec v = hn::MulAdd(lanes.Load(second), RowSet(s.beta2), square);
  if (kStoreMoments) {
    lanes.Store(m, first);
    lanes.Store(v, second);
  }
  return hn::Div(m, hn::MulAdd(hn::Sqrt(v), RowSet(s.denominator_scale), RowSet(s.epsilon)));
}

void AdamUpdate(const UpdateScalars& s, const OptimizerArrays& arrays) {
  ForRow(arrays.parameters.size(), [&](int64_t i, int64_t, auto lanes) HWY_ATTR {
    const RowVec parameter = lanes.Load(arrays.parameters.data() + i);
    const RowVec direction = AdamDirection<true>(s, arrays, lanes, i, parameter);
    const RowVec kept = hn::Mul(parameter, RowSet(s.keep));
    lanes.Store(hn::NegMulAdd(direction, RowSet(s.learning_rate), kept), arrays.out.data() + i);
  });
}

// LAMB's r. Its decay is not part of the gradient.
template <bool kStoreMoments, class Lanes>
HWY_INLINE RowVec LambDirection(const UpdateScalars& s, const OptimizerArrays& arrays, Lanes lanes, int64_t i,
                                RowVec parameter, RowVec decay) {
  const RowVec direction = AdamDirection<kStoreMoments>(s, arrays, lanes, i, parameter);
  return hn::MulAdd(direction, RowSet(s.bias_correction), hn::Mul(parameter, decay));
}

void LambUpdate(const UpdateScalars& scalars, const OptimizerArrays& arrays) {
  UpdateScalars s = scalars;
  s.decay = 0;
  ForRow(arrays.parameters.size(), [&](int64_t i, int64_t, auto lanes) HWY_ATTR {
    const RowVec parameter = lanes.Load(arrays.parameters.data() + i);
    const RowVec r = LambDirection<true>(s, arrays, lanes, i, parameter, RowSet(scalars.decay));
    lanes.Store(hn::NegMulAdd(r, RowSet(s.learning_rate), parameter), arrays.out.data() + i);
  });
}

void LambDirections(const UpdateScalars& scalars, const OptimizerArrays& arrays) {
  UpdateScalars s = scalars;
  s.decay = 0;
  ForRow(arrays.parameters.size(), [&](int64_t i, int64_t, auto lanes) HWY_ATTR {
    const RowVec parameter = lanes.Load(arrays.parameters.data() + i);
    lanes.Store(LambDirection<false>(s, arrays, lanes, i, parameter, RowSet(scalars.decay)),
                arrays.out.data() + i);
  });
}

void MoveAverage(float step, absl::Span<const float> parameters, absl::Span<float> average) {
  ForRow(parameters.size(), [&](int64_t i, int64_t, auto lanes) HWY_ATTR {
    const RowVec before = lanes.Load(average.data() + i);
    const RowVec difference = hn::Sub(lanes.Load(parameters.data() + i), before);
    lanes.Store(hn::MulAdd(difference, RowSet(step), before), average.data() + i);
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

// ---- Adafactor ----

// x = x scale + shift
void ScaleAndShift(float scale, float shift, float* x, int64_t n) {
  ForRow(n, [&](int64_t i, int64_t, auto lanes) HWY_ATTR {
    lanes.Store(hn::MulAdd(lanes.Load(x + i), RowSet(scale), RowSet(shift)), x + i);
  });
}

// Calls fn(row, first element, count, column of the first element) for each row, or piece of one.
template <class Fn>
HWY_INLINE void ForRowsOf(const RowPlace& place, int64_t size, const Fn& fn) {
  int64_t column = static_cast<int64_t>(place.column);
  for (int64_t row = 0, first = 0; first < size; ++row, column = 0) {
    const int64_t count = std::min(static_cast<int64_t>(place.columns) - column, size - first);
    fn(row, first, count, column);
    first += count;
  }
}

// Calls fn(begin, end, rows) for the ranges of columns that the same number of rows have: the first row may
// begin, and the last one end, in the middle.
template <class Fn>
HWY_INLINE void ForColumnsOf(const UpdateScalars& s, int64_t size, const Fn& fn) {
  const int64_t columns = static_cast<int64_t>(s.place.columns);
  const int64_t begin = static_cast<int64_t>(s.place.column);  // of the first row
  const int64_t end = begin + size - (s.rows - 1) * columns;   // of the last one
  const int64_t cuts[] = {0, std::min(begin, end), std::max(begin, end), columns};
  for (int part = 0; part < 3; ++part) {
    const int64_t without = (cuts[part] < begin ? 1 : 0) + (cuts[part] >= end ? 1 : 0);
    if (cuts[part] < cuts[part + 1] && s.rows > without) fn(cuts[part], cuts[part + 1], s.rows - without);
  }
}

// The means of the squares, in place.
void FactoredMoment(const UpdateScalars& s, const OptimizerArrays& arrays) {
  const int64_t size = static_cast<int64_t>(arrays.gradient.size());
  float* of_rows = arrays.second_moment.data();
  float* of_columns = of_rows + s.rows;
  ForColumnsOf(s, size, [&](int64_t begin, int64_t end, int64_t count) HWY_ATTR {
    ScaleAndShift(s.beta2 * static_cast<float>(count), 0, of_columns + begin, end - begin);
  });
  ForRowsOf(s.place, size, [&](int64_t row, int64_t first, int64_t count, int64_t column) HWY_ATTR {
    RowSum sum;
    ForRow(count, [&](int64_t i, int64_t part, auto lanes) HWY_ATTR {
      const RowVec g = hn::Mul(lanes.Load(arrays.gradient.data() + first + i), RowSet(s.gradient_scale));
      const RowVec square = hn::Min(hn::Mul(g, g), RowSet(kMaxSquare));
      sum.Add(part, square);
      float* to = of_columns + column + i;
      lanes.Store(hn::MulAdd(square, RowSet(s.one_minus_beta2), lanes.Load(to)), to);
    });
    const float mean = sum.Join() / static_cast<float>(count) + kSquareFloor;
    of_rows[row] = std::fma(mean, s.one_minus_beta2, of_rows[row] * s.beta2);
  });
  ForColumnsOf(s, size, [&](int64_t begin, int64_t end, int64_t count) HWY_ATTR {
    ScaleAndShift(1 / static_cast<float>(count), s.one_minus_beta2 * kSquareFloor, of_columns + begin,
                  end - begin);
  });
}

// out = u
void FactoredDirections(const UpdateScalars& s, const OptimizerArrays& arrays) {
  const float* of_rows = arrays.second_moment.data();
  const float* of_columns = of_rows + s.rows;
  double sum = 0;
  for (int64_t row = 0; row < s.rows; ++row) sum += of_rows[row];
  const double mean = sum / static_cast<double>(s.rows);
  ForRowsOf(s.place, static_cast<int64_t>(arrays.gradient.size()),
            [&](int64_t row, int64_t first, int64_t count, int64_t column) HWY_ATTR {
              const float scale = static_cast<float>(s.gradient_scale / std::sqrt(of_rows[row] / mean));
              ForRow(count, [&](int64_t i, int64_t, auto lanes) HWY_ATTR {
                const RowVec g = hn::Mul(lanes.Load(arrays.gradient.data() + first + i), RowSet(scale));
                const RowVec root = hn::Sqrt(lanes.Load(of_columns + column + i));
                lanes.Store(hn::Div(g, root), arrays.out.data() + first + i);
              });
            });
}

// The same for a vector, with its moment.
void UnfactoredDirections(const UpdateScalars& s, const OptimizerArrays& arrays) {
  float* moment = arrays.second_moment.data();
  ForRow(arrays.gradient.size(), [&](int64_t i, int64_t, auto lanes) HWY_ATTR {
    const RowVec g = hn::Mul(lanes.Load(arrays.gradient.data() + i), RowSet(s.gradient_scale));
    const RowVec square = hn::MulAdd(g, g, RowSet(kSquareFloor));
    const RowVec v =
        hn::MulAdd(square, RowSet(s.one_minus_beta2), hn::Mul(lanes.Load(moment + i), RowSet(s.beta2)));
    lanes.Store(v, moment + i);
    lanes.Store(hn::Div(g, hn::Sqrt(v)), arrays.out.data() + i);
  });
}

void AdafactorUpdate(const UpdateScalars& s, const OptimizerArrays& arrays) {
  const uint64_t size = arrays.gradient.size();
  if (s.rows > 0) {
    FactoredMoment(s, arrays);
    FactoredDirections(s, arrays);
  } else {
    UnfactoredDirections(s, arrays);
  }
  const double square = SumOfSquares(arrays.out) / static_cast<double>(size);
  const float rate = static_cast<float>(s.learning_rate / std::max(1.0, std::sqrt(square)));
  ForRow(size, [&](int64_t i, int64_t, auto lanes) HWY_ATTR {
    const RowVec kept = hn::Mul(lanes.Load(arrays.parameters.data() + i), RowSet(s.keep));
    const RowVec u = lanes.Load(arrays.out.data() + i);
    lanes.Store(hn::NegMulAdd(u, RowSet(rate), kept), arrays.out.data() + i);
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace shoal::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace shoal::kernels {
namespace {

HWY_EXPORT(SgdUpdate);
HWY_EXPORT(AdamUpdate);
HWY_EXPORT(LambUpdate);
HWY_EXPORT(LambDirections);
HWY_EXPORT(AdafactorUpdate);
HWY_EXPORT(MoveAverage);
HWY_EXPORT(SumOfSquares);

// By repeated squaring; libm's pow may differ from one processor to another.
double Power(double base, uint64_t exponent) {
  double power = 1;
  for (; exponent > 0; exponent /= 2, base *= base) {
    if (exponent % 2 == 1) power *= base;
  }
  return power;
}

// x^-0.8 for x >= 1, likewise: with Newton's method for the fifth root, which takes 0.8 times what is left in
// each of its first steps.
double PowerOfMinusFourFifths(double x) {
  double root = x;
  for (int i = 0; i < 256; ++i) root = (4 * root + x / (root * root * root * root)) / 5;
  return 1 / (root * root * root * root);
}

// 0 for vectors, and where the factors would have as many elements as the moment itself.
uint64_t FactoredRows(const OptimizerConfig& config, const RowPlace& place, uint64_t size) {
  if (config.kind != OptimizerKind::kAdafactor || place.columns <= 1) return 0;
  const uint64_t rows = (place.column + size + place.columns - 1) / place.columns;
  return rows >= 2 && rows + place.columns < size ? rows : 0;
}

UpdateScalars ScalarsOf(const OptimizerConfig& config, const OptimizerStep& step, uint64_t size) {
  const double decay = step.decay ? config.weight_decay : 0.0;
  const bool decoupled = config.kind == OptimizerKind::kAdamW || config.kind == OptimizerKind::kAdafactor;
  UpdateScalars s;
  s.gradient_scale = static_cast<float>(step.gradient_scale);
  s.decay = decoupled ? 0.0f : static_cast<float>(decay);
  s.keep = decoupled ? static_cast<float>(1 - step.learning_rate * decay) : 1.0f;
  s.learning_rate = static_cast<float>(step.learning_rate);
  s.momentum = static_cast<float>(config.momentum);
  s.nesterov = config.nesterov;
  if (config.kind == OptimizerKind::kSgd) return s;
  if (config.kind == OptimizerKind::kAdafactor) {
    const double one_minus_beta2 = PowerOfMinusFourFifths(static_cast<double>(step.step));
    s.beta2 = static_cast<float>(1 - one_minus_beta2);
    s.one_minus_beta2 = static_cast<float>(one_minus_beta2);
    s.place = step.place;
    s.rows = static_cast<int64_t>(FactoredRows(config, step.place, size));
    return s;
  }
  const double bias_correction = 1 - Power(config.beta1, step.step);
  s.learning_rate =
      static_cast<float>(config.kind == OptimizerKind::kLamb ? step.learning_rate * step.trust_ratio
                                                             : step.learning_rate / bias_correction);
  s.bias_correction = static_cast<float>(1 / bias_correction);
  s.one_minus_beta1 = static_cast<float>(1 - config.beta1);
  s.beta2 = static_cast<float>(config.beta2);
  s.one_minus_beta2 = static_cast<float>(1 - config.beta2);
  s.denominator_scale = static_cast<float>(1 / std::sqrt(1 - Power(config.beta2, step.step)));
  s.epsilon = static_cast<float>(config.epsilon);
  return s;
}

void Check(const OptimizerConfig& config, const OptimizerStep& step, const OptimizerArrays& arrays) {
  const size_t size = arrays.parameters.size();
  SHOAL_CHECK(step.step >= 1 && arrays.gradient.size() == size && arrays.out.size() == size);
  SHOAL_CHECK(arrays.first_moment.size() == (KeepsFirstMoment(config) ? size : 0));
  SHOAL_CHECK(arrays.second_moment.size() ==
              (KeepsSecondMoment(config) ? SecondMomentSize(config, step.place, size) : 0));
}

}  // namespace

bool KeepsFirstMoment(const OptimizerConfig& config) {
  if (config.kind == OptimizerKind::kSgd) return config.momentum != 0;
  return config.kind != OptimizerKind::kAdafactor;
}

bool KeepsSecondMoment(const OptimizerConfig& config) { return config.kind != OptimizerKind::kSgd; }

uint64_t SecondMomentSize(const OptimizerConfig& config, const RowPlace& place, uint64_t size) {
  const uint64_t rows = FactoredRows(config, place, size);
  return rows > 0 ? rows + place.columns : size;
}

void UpdateParameters(const OptimizerConfig& config, const OptimizerStep& step,
                      const OptimizerArrays& arrays) {
  Check(config, step, arrays);
  const UpdateScalars scalars = ScalarsOf(config, step, arrays.parameters.size());
  switch (config.kind) {
    case OptimizerKind::kSgd:
      return HWY_DYNAMIC_DISPATCH(SgdUpdate)(scalars, arrays);
    case OptimizerKind::kLamb:
      return HWY_DYNAMIC_DISPATCH(LambUpdate)(scalars, arrays);
    case OptimizerKind::kAdafactor:
      return HWY_DYNAMIC_DISPATCH(AdafactorUpdate)(scalars, arrays);
    default:
      return HWY_DYNAMIC_DISPATCH(AdamUpdate)(scalars, arrays);
  }
}

LambNorms LambSquaredNorms(const OptimizerConfig& config, const OptimizerStep& step,
                           const OptimizerArrays& arrays) {
  Check(config, step, arrays);
  HWY_DYNAMIC_DISPATCH(LambDirections)(ScalarsOf(config, step, arrays.parameters.size()), arrays);
  return {SquaredNorm(arrays.parameters), SquaredNorm(arrays.out)};
}

void UpdateAverage(double decay, absl::Span<const float> parameters, absl::Span<float> average) {
  SHOAL_CHECK(parameters.size() == average.size());
  HWY_DYNAMIC_DISPATCH(MoveAverage)(static_cast<float>(1 - decay), parameters, average);
}

double SquaredNorm(absl::Span<const float> x) { return HWY_DYNAMIC_DISPATCH(SumOfSquares)(x); }

}  // namespace shoal::kernels
#endif  // HWY_ONCE
