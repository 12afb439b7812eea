// How the row kernels walk over rows: in groups of 16 elements whatever the vector width, with masked ends,
// so that sums have the same bits on every Highway target. Loads convert f32 or bf16 to f32, stores convert
// back.
#include <cstdint>
#include <cstring>

#include "hwy/highway.h"
#include "kernels/tensor.h"

#if defined(SHOAL_KERNELS_ROW_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef SHOAL_KERNELS_ROW_INL_H_
#undef SHOAL_KERNELS_ROW_INL_H_
#else
#define SHOAL_KERNELS_ROW_INL_H_
#endif

HWY_BEFORE_NAMESPACE();
namespace shoal::kernels {
namespace HWY_NAMESPACE {

using RowTag = hwy::HWY_NAMESPACE::CappedTag<float, 16>;
using RowWords = hwy::HWY_NAMESPACE::CappedTag<uint32_t, 16>;
using RowVec = hwy::HWY_NAMESPACE::Vec<RowTag>;
constexpr int64_t kRowGroup = 16;
constexpr int64_t kRowLanes = hwy::HWY_NAMESPACE::MaxLanes(RowTag());
constexpr int64_t kRowParts = kRowGroup / kRowLanes;

HWY_INLINE RowVec RowSet(float x) { return hwy::HWY_NAMESPACE::Set(RowTag(), x); }

// bf16 to f32 and back (to nearest even; NaN stays NaN), as ToFloat and ToBf16 of tensor.h.
HWY_INLINE RowVec FromBits16(hwy::HWY_NAMESPACE::Vec<hwy::HWY_NAMESPACE::Rebind<uint16_t, RowTag>> bits) {
  namespace hn = hwy::HWY_NAMESPACE;
  return hn::BitCast(RowTag(), hn::ShiftLeft<16>(hn::PromoteTo(RowWords(), bits)));
}

HWY_INLINE hwy::HWY_NAMESPACE::Vec<hwy::HWY_NAMESPACE::Rebind<uint16_t, RowTag>> ToBits16(RowVec x) {
  namespace hn = hwy::HWY_NAMESPACE;
  const RowWords d;
  const auto bits = hn::BitCast(d, x);
  const auto high = hn::ShiftRight<16>(bits);
  const auto even = hn::Add(hn::Set(d, 0x7FFFu), hn::And(high, hn::Set(d, 1u)));
  const auto rounded = hn::ShiftRight<16>(hn::Add(bits, even));
  const auto nan = hn::RebindMask(d, hn::Ne(x, x));
  const auto result = hn::IfThenElse(nan, hn::Or(high, hn::Set(d, 0x40u)), rounded);
  return hn::DemoteTo(hn::Rebind<uint16_t, RowTag>(), hn::BitCast(hn::RebindToSigned<RowWords>(), result));
}

// All lanes of a vector.
struct WholeLanes {
  HWY_INLINE RowVec Load(const float* from) const { return hwy::HWY_NAMESPACE::LoadU(RowTag(), from); }
  HWY_INLINE RowVec Load(const Bf16* from) const {
    const hwy::HWY_NAMESPACE::Rebind<uint16_t, RowTag> d;
    return FromBits16(hwy::HWY_NAMESPACE::LoadU(d, reinterpret_cast<const uint16_t*>(from)));
  }
  HWY_INLINE void Store(RowVec x, float* to) const { hwy::HWY_NAMESPACE::StoreU(x, RowTag(), to); }
  HWY_INLINE void Store(RowVec x, Bf16* to) const {
    const hwy::HWY_NAMESPACE::Rebind<uint16_t, RowTag> d;
    hwy::HWY_NAMESPACE::StoreU(ToBits16(x), d, reinterpret_cast<uint16_t*>(to));
  }
  HWY_INLINE RowVec ZeroOutside(RowVec x) const { return x; }
  HWY_INLINE RowVec Else(RowVec x, RowVec /*outside*/) const { return x; }
};

// The first `count` lanes, possibly none; the others load as 0 and are not stored.
class FirstLanes {
 public:
  HWY_INLINE explicit FirstLanes(int64_t count)
      : count_(count < 0           ? 0
               : count > kRowLanes ? kRowLanes
                                   : count),
        mask_(hwy::HWY_NAMESPACE::FirstN(RowTag(), static_cast<size_t>(count_))) {}

  HWY_INLINE RowVec Load(const float* from) const {
    return hwy::HWY_NAMESPACE::MaskedLoad(mask_, RowTag(), from);
  }
  HWY_INLINE RowVec Load(const Bf16* from) const {
    HWY_ALIGN Bf16 lanes[kRowLanes] = {};
    std::memcpy(lanes, from, count_ * sizeof(Bf16));
    return WholeLanes().Load(lanes);
  }
  HWY_INLINE void Store(RowVec x, float* to) const {
    hwy::HWY_NAMESPACE::BlendedStore(x, mask_, RowTag(), to);
  }
  HWY_INLINE void Store(RowVec x, Bf16* to) const {
    HWY_ALIGN Bf16 lanes[kRowLanes];
    WholeLanes().Store(x, lanes);
    std::memcpy(to, lanes, count_ * sizeof(Bf16));
  }
  HWY_INLINE RowVec ZeroOutside(RowVec x) const { return hwy::HWY_NAMESPACE::IfThenElseZero(mask_, x); }
  HWY_INLINE RowVec Else(RowVec x, RowVec outside) const {
    return hwy::HWY_NAMESPACE::IfThenElse(mask_, x, outside);
  }

 private:
  int64_t count_;
  hwy::HWY_NAMESPACE::Mask<RowTag> mask_;
};

// Calls fn(i, part, lanes) for the vectors of a row of n elements: i is the vector's first element, part its
// position in the group of 16, lanes how to load and store it.
template <class Fn>
HWY_INLINE void ForRow(int64_t n, const Fn& fn) {
  int64_t i = 0;
  for (; i + kRowGroup <= n; i += kRowGroup) {
#pragma GCC unroll 4
    for (int64_t part = 0; part < kRowParts; ++part) fn(i + part * kRowLanes, part, WholeLanes());
  }
  if (i == n) return;
  for (int64_t part = 0; part < kRowParts; ++part) {
    fn(i + part * kRowLanes, part, FirstLanes(n - i - part * kRowLanes));
  }
}

// 16 interleaved partial sums: element i goes to sum i mod 16.
class RowSum {
 public:
  HWY_INLINE RowSum() {
    for (RowVec& sum : sums_) sum = hwy::HWY_NAMESPACE::Zero(RowTag());
  }
  HWY_INLINE void Add(int64_t part, RowVec x) { sums_[part] = hwy::HWY_NAMESPACE::Add(sums_[part], x); }
  HWY_INLINE void MulAdd(int64_t part, RowVec x, RowVec y) {
    sums_[part] = hwy::HWY_NAMESPACE::MulAdd(x, y, sums_[part]);
  }
  // (s[i] + s[i+8]), then + 4, + 2, + 1.
  HWY_INLINE float Join() const {
    HWY_ALIGN float s[kRowGroup];
    for (int64_t part = 0; part < kRowParts; ++part) {
      hwy::HWY_NAMESPACE::Store(sums_[part], RowTag(), s + part * kRowLanes);
    }
    for (int64_t half = kRowGroup / 2; half > 0; half /= 2) {
      for (int64_t i = 0; i < half; ++i) s[i] += s[i + half];
    }
    return s[0];
  }

 private:
  RowVec sums_[kRowParts];
};

}  // namespace HWY_NAMESPACE
}  // namespace shoal::kernels
HWY_AFTER_NAMESPACE();

#endif  // SHOAL_KERNELS_ROW_INL_H_
