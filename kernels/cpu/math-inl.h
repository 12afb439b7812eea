// Elementary functions on vectors of f32, for inclusion in each Highway target. Every step is one IEEE
// operation or an explicit fused multiply-add, so all targets give the same bits. libm is not used: which
// variant it runs depends on the processor.
//
// The methods are those of the Cephes library (Moshier): reduce the argument to a short interval, evaluate a
// polynomial there. The coefficients are our own: weighted least squares iterated to the minimax error
// (Lawson, 1961), rounded to f32 one at a time, refitting the rest each time. The stated errors are measured
// against f64 in math_test.cc.
#include <cstdint>
#include <limits>

#include "hwy/highway.h"

#if defined(SHOAL_KERNELS_MATH_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef SHOAL_KERNELS_MATH_INL_H_
#undef SHOAL_KERNELS_MATH_INL_H_
#else
#define SHOAL_KERNELS_MATH_INL_H_
#endif

HWY_BEFORE_NAMESPACE();
namespace shoal::kernels {
namespace HWY_NAMESPACE {

// c[0] + c[1] x + ... in Horner's order.
template <class D, size_t kCount>
HWY_INLINE hwy::HWY_NAMESPACE::Vec<D> Polynomial(D d, hwy::HWY_NAMESPACE::Vec<D> x,
                                                 const float (&c)[kCount]) {
  namespace hn = hwy::HWY_NAMESPACE;
  auto sum = hn::Set(d, c[kCount - 1]);
#pragma GCC unroll 16
  for (size_t i = kCount - 1; i > 0; --i) sum = hn::MulAdd(sum, x, hn::Set(d, c[i - 1]));
  return sum;
}

// e^x. Relative error below 1e-7. 0 below -87.33 (where the result would not be a normal number); above 88.37
// the same as at 88.37. NaN stays NaN.
template <class D>
HWY_INLINE hwy::HWY_NAMESPACE::Vec<D> Exp(D d, hwy::HWY_NAMESPACE::Vec<D> x) {
  namespace hn = hwy::HWY_NAMESPACE;
  const hn::RebindToUnsigned<D> bits;
  constexpr float kLowest = -87.33f;
  // The order of the arguments keeps a NaN, since x86 returns the second one.
  const auto clamped = hn::Max(hn::Set(d, kLowest), hn::Min(hn::Set(d, 88.37f), x));
  // Adding 1.5 * 2^23 rounds to an integer n and leaves it in the low bits.
  const auto magic = hn::Set(d, 12582912.0f);
  const auto shifted = hn::MulAdd(clamped, hn::Set(d, 1.44269504f), magic);
  const auto n = hn::Sub(shifted, magic);
  // ln 2 in two parts, the first of few digits, so that n times it is exact.
  auto r = hn::NegMulAdd(n, hn::Set(d, 0.693359375f), clamped);
  r = hn::MulAdd(n, hn::Set(d, 2.12194440e-4f), r);
  constexpr float kCoefficients[] = {0.49999994f, 0.16666521f, 0.041668274f, 0.008368686f, 0.0013820136f};
  const auto tail = hn::MulAdd(hn::Mul(r, r), Polynomial(d, r, kCoefficients), r);
  const auto p = hn::Add(tail, hn::Set(d, 1.0f));
  const auto power = hn::Add(hn::ShiftLeft<23>(hn::BitCast(bits, shifted)), hn::Set(bits, 0x3F800000u));
  const auto result = hn::Mul(p, hn::BitCast(d, power));
  return hn::IfThenZeroElse(hn::Lt(x, hn::Set(d, kLowest)), result);
}

// Natural logarithm of a positive normal number. Relative error below 1.5e-7.
template <class D>
HWY_INLINE hwy::HWY_NAMESPACE::Vec<D> Log(D d, hwy::HWY_NAMESPACE::Vec<D> x) {
  namespace hn = hwy::HWY_NAMESPACE;
  const hn::RebindToSigned<D> integer;
  // x = 2^e (1 + f) with 1 + f in [sqrt(1/2), sqrt(2)): 0x3F3504F3 is sqrt(1/2).
  const auto offset = hn::Set(integer, 0x3F3504F3);
  const auto e = hn::ShiftRight<23>(hn::Sub(hn::BitCast(integer, x), offset));
  const auto mantissa = hn::Sub(hn::BitCast(integer, x), hn::ShiftLeft<23>(e));
  const auto f = hn::Sub(hn::BitCast(d, mantissa), hn::Set(d, 1.0f));
  constexpr float kCoefficients[] = {0.3333333f,  -0.2500082f,  0.20001242f, -0.16623409f,
                                     0.14201581f, -0.13159613f, 0.12762198f, -0.07636395f};
  const auto f2 = hn::Mul(f, f);
  const auto n = hn::ConvertTo(d, e);
  // log(1 + f) = f - f^2/2 + f^3 P(f); the small parts are added first.
  auto low = hn::Mul(hn::Mul(f2, f), Polynomial(d, f, kCoefficients));
  low = hn::NegMulAdd(n, hn::Set(d, 2.12194440e-4f), low);
  low = hn::NegMulAdd(hn::Set(d, 0.5f), f2, low);
  return hn::MulAdd(n, hn::Set(d, 0.693359375f), hn::Add(f, low));
}

// log(1 + x) for x in [0, 1]. Relative error below 2.5e-7.
template <class D>
HWY_INLINE hwy::HWY_NAMESPACE::Vec<D> Log1p(D d, hwy::HWY_NAMESPACE::Vec<D> x) {
  namespace hn = hwy::HWY_NAMESPACE;
  const auto one = hn::Set(d, 1.0f);
  const auto y = hn::Add(x, one);
  const auto lost = hn::Sub(x, hn::Sub(y, one));  // exact
  return hn::Add(Log(d, y), hn::Div(lost, y));
}

// 1 / (1 + e^-x). Relative error below 3e-7.
template <class D>
HWY_INLINE hwy::HWY_NAMESPACE::Vec<D> Sigmoid(D d, hwy::HWY_NAMESPACE::Vec<D> x) {
  namespace hn = hwy::HWY_NAMESPACE;
  const auto one = hn::Set(d, 1.0f);
  return hn::Div(one, hn::Add(one, Exp(d, hn::Neg(x))));
}

// Relative error below 3e-7.
template <class D>
HWY_INLINE hwy::HWY_NAMESPACE::Vec<D> Tanh(D d, hwy::HWY_NAMESPACE::Vec<D> x) {
  namespace hn = hwy::HWY_NAMESPACE;
  const auto one = hn::Set(d, 1.0f);
  const auto magnitude = hn::Abs(x);
  const auto e = Exp(d, hn::Add(magnitude, magnitude));
  const auto large = hn::Sub(one, hn::Div(hn::Set(d, 2.0f), hn::Add(e, one)));
  constexpr float kCoefficients[] = {-0.3333328f, 0.1333141f, -0.053737268f, 0.020631723f, -0.005697346f};
  const auto z = hn::Mul(x, x);
  const auto small = hn::MulAdd(hn::Mul(z, x), Polynomial(d, z, kCoefficients), x);
  return hn::IfThenElse(hn::Lt(magnitude, hn::Set(d, 0.625f)), small, hn::CopySign(large, x));
}

// Phi(x), the normal distribution, = (1 + erf(x / sqrt(2))) / 2; `exponential` becomes e^(-x^2/2), which is
// the density times sqrt(2 pi). Absolute error below 2e-7; below 0 relative error below 8e-7 down to -5.
//
// The tail beyond |x| is e^(-x^2/2) t P(t) with t = 1 / (1 + 0.3 |x|): Hastings, "Approximations for Digital
// Computers", 1955, with a polynomial of degree 9.
template <class D>
HWY_INLINE hwy::HWY_NAMESPACE::Vec<D> NormalDistribution(D d, hwy::HWY_NAMESPACE::Vec<D> x,
                                                         hwy::HWY_NAMESPACE::Vec<D>& exponential) {
  namespace hn = hwy::HWY_NAMESPACE;
  const auto one = hn::Set(d, 1.0f);
  exponential = Exp(d, hn::Mul(hn::Mul(x, hn::Set(d, -0.5f)), x));
  const auto t = hn::Div(one, hn::MulAdd(hn::Abs(x), hn::Set(d, 0.3f), one));
  constexpr float kCoefficients[] = {0.11968663f,  0.119572856f, 0.110227205f, 0.078426145f, 0.096056126f,
                                     -0.07924395f, 0.19157724f,  -0.22806379f, 0.112373985f, -0.02061245f};
  const auto tail = hn::Mul(hn::Mul(exponential, t), Polynomial(d, t, kCoefficients));
  return hn::IfThenElse(hn::Lt(x, hn::Zero(d)), tail, hn::Sub(one, tail));
}

// Sine and cosine of 2 pi x for x in [0, 1). Absolute error below 1.5e-7.
template <class D>
HWY_INLINE void SinCosOfTurns(D d, hwy::HWY_NAMESPACE::Vec<D> x, hwy::HWY_NAMESPACE::Vec<D>& sine,
                              hwy::HWY_NAMESPACE::Vec<D>& cosine) {
  namespace hn = hwy::HWY_NAMESPACE;
  const hn::RebindToUnsigned<D> bits;
  // Quarter turns: the nearest integer q, and r in [-1/2, 1/2], exactly.
  const auto quarters = hn::Mul(x, hn::Set(d, 4.0f));
  const auto magic = hn::Set(d, 12582912.0f);
  const auto shifted = hn::Add(quarters, magic);
  const auto r = hn::Sub(quarters, hn::Sub(shifted, magic));
  const auto z = hn::Mul(r, r);
  constexpr float kSine[] = {1.5707964f, -0.6459666f, 0.07971159f, -0.004682987f};
  constexpr float kCosine[] = {1.0f, -1.2337005f, 0.25366855f, -0.020855593f, 0.00089445926f};
  const auto s = hn::Mul(r, Polynomial(d, z, kSine));
  const auto c = Polynomial(d, z, kCosine);
  // An odd q swaps the two; q = 2, 3 negate the sine, q = 1, 2 the cosine.
  const auto q = hn::BitCast(bits, shifted);
  const auto one = hn::Set(bits, 1u), two = hn::Set(bits, 2u);
  const auto swap = hn::RebindMask(d, hn::TestBit(q, one));
  const auto sine_sign = hn::BitCast(d, hn::ShiftLeft<30>(hn::And(q, two)));
  const auto cosine_sign = hn::BitCast(d, hn::ShiftLeft<30>(hn::And(hn::Add(q, one), two)));
  sine = hn::Xor(hn::IfThenElse(swap, c, s), sine_sign);
  cosine = hn::Xor(hn::IfThenElse(swap, s, c), cosine_sign);
}

}  // namespace HWY_NAMESPACE
}  // namespace shoal::kernels
HWY_AFTER_NAMESPACE();

#endif  // SHOAL_KERNELS_MATH_INL_H_
