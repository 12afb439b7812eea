// Passes over a row of logits, for inclusion in each Highway target.
#include <algorithm>
#include <cstdint>
#include <limits>

#include "hwy/highway.h"

#if defined(SHOAL_KERNELS_SOFTMAX_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef SHOAL_KERNELS_SOFTMAX_INL_H_
#undef SHOAL_KERNELS_SOFTMAX_INL_H_
#else
#define SHOAL_KERNELS_SOFTMAX_INL_H_
#endif

#include "kernels/cpu/math-inl.h"
#include "kernels/cpu/row-inl.h"

HWY_BEFORE_NAMESPACE();
namespace shoal::kernels {
namespace HWY_NAMESPACE {

// The largest of n >= 1 elements; not defined when one is NaN.
template <class T>
float RowMaximum(int64_t n, const T* x) {
  namespace hn = hwy::HWY_NAMESPACE;
  const RowVec lowest = RowSet(-std::numeric_limits<float>::infinity());
  RowVec largest = lowest;
  ForRow(n, [&](int64_t i, int64_t, auto lanes)
                HWY_ATTR { largest = hn::Max(largest, lanes.Else(lanes.Load(x + i), lowest)); });
  return hn::GetLane(hn::MaxOfLanes(RowTag(), largest));
}

// The first element that is `value`; 0 when there is none (NaN).
template <class T>
int64_t FirstEqual(int64_t n, const T* x, float value) {
  namespace hn = hwy::HWY_NAMESPACE;
  int64_t first = n;
  ForRow(n, [&](int64_t i, int64_t, auto lanes) HWY_ATTR {
    const auto equal = hn::Eq(lanes.Load(x + i), RowSet(value));
    if (first == n && !hn::AllFalse(RowTag(), equal)) first = i + hn::FindFirstTrue(RowTag(), equal);
  });
  return first < n ? first : 0;
}

// Sum of exp(x - maximum).
template <class T>
float ExpSum(int64_t n, const T* x, float maximum) {
  namespace hn = hwy::HWY_NAMESPACE;
  RowSum sum;
  ForRow(n, [&](int64_t i, int64_t part, auto lanes) HWY_ATTR {
    sum.Add(part, lanes.ZeroOutside(Exp(RowTag(), hn::Sub(lanes.Load(x + i), RowSet(maximum)))));
  });
  return sum.Join();
}

// y = exp(x - maximum) * factor + shift; y may be x.
template <class T>
void ExpRowScaled(int64_t n, const T* x, float maximum, float factor, float shift, T* y) {
  namespace hn = hwy::HWY_NAMESPACE;
  ForRow(n, [&](int64_t i, int64_t, auto lanes) HWY_ATTR {
    const RowVec e = Exp(RowTag(), hn::Sub(lanes.Load(x + i), RowSet(maximum)));
    lanes.Store(hn::MulAdd(e, RowSet(factor), RowSet(shift)), y + i);
  });
}

// Sum of the elements.
template <class T>
float RowTotal(int64_t n, const T* x) {
  RowSum sum;
  ForRow(n, [&](int64_t i, int64_t part, auto lanes) HWY_ATTR { sum.Add(part, lanes.Load(x + i)); });
  return sum.Join();
}

}  // namespace HWY_NAMESPACE
}  // namespace shoal::kernels
HWY_AFTER_NAMESPACE();

#endif  // SHOAL_KERNELS_SOFTMAX_INL_H_
