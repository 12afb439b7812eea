// The polynomials against f64 functions of libm, on each instruction set of this machine, which must agree in
// every bit.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <vector>

#include "absl/types/span.h"
#include "kernels/cpu/isa.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/math_test.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
#include "kernels/cpu/math-inl.h"

#ifndef SHOAL_MATH_TEST_ONCE
#define SHOAL_MATH_TEST_ONCE
namespace shoal::kernels {
enum class Function { kExp, kLog, kLog1p, kSigmoid, kTanh, kNormal, kNormalExponential, kSine, kCosine };
}  // namespace shoal::kernels
#endif

HWY_BEFORE_NAMESPACE();
namespace shoal::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using Floats = hn::ScalableTag<float>;

hn::Vec<Floats> Value(Function function, hn::Vec<Floats> x) {
  const Floats d;
  auto other = hn::Zero(d), another = hn::Zero(d);
  switch (function) {
    case Function::kExp:
      return Exp(d, x);
    case Function::kLog:
      return Log(d, x);
    case Function::kLog1p:
      return Log1p(d, x);
    case Function::kSigmoid:
      return Sigmoid(d, x);
    case Function::kTanh:
      return Tanh(d, x);
    case Function::kNormal:
      return NormalDistribution(d, x, other);
    case Function::kNormalExponential:
      NormalDistribution(d, x, other);
      return other;
    case Function::kSine:
      SinCosOfTurns(d, x, other, another);
      return other;
    case Function::kCosine:
      SinCosOfTurns(d, x, other, another);
      return another;
  }
  return other;
}

// The size is a multiple of 16.
void Values(Function function, absl::Span<const float> x, float* y) {
  const Floats d;
  for (size_t i = 0; i < x.size(); i += hn::Lanes(d)) {
    hn::StoreU(Value(function, hn::LoadU(d, x.data() + i)), d, y + i);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace shoal::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "catch2/catch.hpp"

namespace shoal::kernels {
namespace {

HWY_EXPORT(Values);

std::vector<float> Values(Function function, const std::vector<float>& x) {
  std::vector<float> y(x.size());
  HWY_DYNAMIC_DISPATCH(Values)(function, x, y.data());
  return y;
}

// Evenly spaced points of [low, high].
std::vector<float> Points(double low, double high) {
  constexpr int kCount = 1 << 18;
  std::vector<float> x(kCount);
  for (int i = 0; i < kCount; ++i) x[i] = static_cast<float>(low + (high - low) * i / (kCount - 1));
  return x;
}

using Oracle = std::function<double(double)>;

// The largest |y - f(x)| / max(floor, |f(x)|); a floor of infinity makes it the absolute error.
double WorstError(Function function, double low, double high, const Oracle& f, double floor) {
  const std::vector<float> x = Points(low, high);
  const std::vector<float> y = Values(function, x);
  double worst = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    const double expected = f(x[i]);
    const double scale = std::isinf(floor) ? 1.0 : std::max(floor, std::abs(expected));
    worst = std::max(worst, std::abs(y[i] - expected) / scale);
  }
  return worst;
}

constexpr double kRelative = std::numeric_limits<float>::min();
constexpr double kAbsolute = std::numeric_limits<double>::infinity();
const double kTau = 2 * std::acos(-1.0);

double Phi(double x) { return 0.5 * std::erfc(-x / std::sqrt(2.0)); }

TEST_CASE("elementary functions are as accurate as their comments say") {
  CHECK(WorstError(
            Function::kExp, -87, 88, [](double x) { return std::exp(x); }, kRelative) < 1e-7);
  CHECK(WorstError(
            Function::kExp, -1, 1, [](double x) { return std::exp(x); }, kRelative) < 1e-7);
  CHECK(WorstError(
            Function::kLog, 1e-30, 1e-20, [](double x) { return std::log(x); }, kRelative) < 1.5e-7);
  CHECK(WorstError(
            Function::kLog, 0.3, 3.0, [](double x) { return std::log(x); }, kRelative) < 1.5e-7);
  CHECK(WorstError(
            Function::kLog, 3.0, 60000, [](double x) { return std::log(x); }, kRelative) < 1.5e-7);
  CHECK(WorstError(
            Function::kLog1p, 0, 1, [](double x) { return std::log1p(x); }, kRelative) < 2.5e-7);
  CHECK(WorstError(
            Function::kLog1p, 0, 1e-6, [](double x) { return std::log1p(x); }, kRelative) < 2.5e-7);
  CHECK(WorstError(
            Function::kSigmoid, -80, 80, [](double x) { return 1 / (1 + std::exp(-x)); }, kRelative) < 3e-7);
  CHECK(WorstError(
            Function::kTanh, -10, 10, [](double x) { return std::tanh(x); }, kRelative) < 3e-7);
  CHECK(WorstError(
            Function::kTanh, -1e-3, 1e-3, [](double x) { return std::tanh(x); }, kRelative) < 3e-7);
  CHECK(WorstError(Function::kNormal, -12, 12, Phi, kAbsolute) < 2e-7);
  CHECK(WorstError(Function::kNormal, -5, 0, Phi, kRelative) < 8e-7);
  CHECK(WorstError(
            Function::kNormalExponential, -5, 5, [](double x) { return std::exp(-x * x / 2); }, kRelative) <
        1e-6);
  const double last = 1 - std::ldexp(1.0, -24);
  CHECK(WorstError(
            Function::kSine, 0, last, [](double x) { return std::sin(kTau * x); }, kAbsolute) < 1.5e-7);
  CHECK(WorstError(
            Function::kCosine, 0, last, [](double x) { return std::cos(kTau * x); }, kAbsolute) < 1.5e-7);
}

TEST_CASE("elementary functions treat the ends of their range as they say") {
  const float infinity = std::numeric_limits<float>::infinity(), nan = std::nanf("");
  std::vector<float> x(16, 0.0f);
  x[0] = -infinity, x[1] = infinity, x[2] = nan, x[3] = -200, x[4] = 0, x[5] = 90;
  const std::vector<float> e = Values(Function::kExp, x);
  CHECK(e[0] == 0);
  CHECK(e[1] == e[5]);
  CHECK(e[1] == Approx(std::exp(88.37)).epsilon(1e-5));
  CHECK(std::isnan(e[2]));
  CHECK(e[3] == 0);
  CHECK(e[4] == 1);
  const std::vector<float> t = Values(Function::kTanh, x);
  CHECK(t[0] == -1);
  CHECK(t[1] == 1);
  CHECK(std::isnan(t[2]));
  const std::vector<float> s = Values(Function::kSigmoid, x);
  CHECK(s[0] < 1e-38f);
  CHECK(s[1] == 1);
  CHECK(std::isnan(s[2]));
  CHECK(s[4] == 0.5f);
  const std::vector<float> n = Values(Function::kNormal, x);
  CHECK(n[0] == 0);
  CHECK(n[1] == 1);
  CHECK(std::isnan(n[2]));
  CHECK(n[4] == Approx(0.5).epsilon(1e-7));
}

TEST_CASE("elementary functions have the same bits on every instruction set") {
  REQUIRE(DetectIsa().ok());
  const Isa best = *DetectIsa();
  for (Function function : {Function::kExp, Function::kTanh, Function::kSigmoid, Function::kNormal,
                            Function::kLog, Function::kLog1p, Function::kSine, Function::kCosine}) {
    const bool whole_line = function < Function::kLog || function == Function::kSigmoid ||
                            function == Function::kTanh || function == Function::kNormal;
    const std::vector<float> x = whole_line ? Points(-100, 100) : Points(1e-7, 0.9999);
    REQUIRE(UseIsa(Isa::kAvx2).ok());
    const std::vector<float> narrow = Values(function, x);
    REQUIRE(UseIsa(best).ok());
    const std::vector<float> wide = Values(function, x);
    CHECK(std::memcmp(narrow.data(), wide.data(), x.size() * sizeof(float)) == 0);
  }
}

}  // namespace
}  // namespace shoal::kernels
#endif  // HWY_ONCE
