#include "common/base/portable_math.h"

#include <cmath>

namespace shoal {
namespace {

constexpr double kLn2High = 0x1.62e42fefa38p-1;  // low bits are zero, so that k * kLn2High is exact
constexpr double kLn2Low = 0x1.ef35793c7673p-45;

}  // namespace

double PortableLog(double x) {
  int exponent;
  double m = std::frexp(x, &exponent);  // exact
  if (m < 0.70710678118654752) {
    m *= 2;
    --exponent;
  }
  // log m = 2 artanh s, |s| <= 0.172.
  const double s = (m - 1) / (m + 1);
  const double s2 = s * s;
  double series = 0;
  for (int n = 21; n >= 1; n -= 2) series = series * s2 + 1.0 / n;
  return exponent * kLn2High + (exponent * kLn2Low + 2 * s * series);
}

double PortableExp(double x) {
  if (x < -700) return 0;
  const double k = std::floor(x * 1.4426950408889634 + 0.5);
  const double r = (x - k * kLn2High) - k * kLn2Low;  // |r| <= 0.347
  double series = 1;
  for (int n = 14; n >= 1; --n) series = series * r / n + 1;
  return std::ldexp(series, static_cast<int>(k));  // exact
}

double Digamma(double x) {
  double result = 0;
  for (; x < 7; ++x) result -= 1 / x;
  x -= 0.5;
  // Asymptotic series about x - 1/2.
  const double xx2 = 1.0 / (x * x);
  const double xx4 = xx2 * xx2;
  return result + PortableLog(x) + (1.0 / 24) * xx2 - (7.0 / 960) * xx4 + (31.0 / 8064) * xx4 * xx2 -
         (127.0 / 30720) * xx4 * xx4;
}

}  // namespace shoal
