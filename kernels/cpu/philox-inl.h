// Philox4x32-10 (common/base/philox.h) on vectors: one counter per lane, the same words on every Highway
// target.
#include <cstdint>

#include "hwy/highway.h"
#include "kernels/dropout.h"

#if defined(SHOAL_KERNELS_PHILOX_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef SHOAL_KERNELS_PHILOX_INL_H_
#undef SHOAL_KERNELS_PHILOX_INL_H_
#else
#define SHOAL_KERNELS_PHILOX_INL_H_
#endif

#include "kernels/cpu/row-inl.h"

HWY_BEFORE_NAMESPACE();
namespace shoal::kernels {
namespace HWY_NAMESPACE {

// {high, low} = x * multiplier in each lane.
HWY_INLINE void PhiloxMultiply(hwy::HWY_NAMESPACE::Vec<RowWords> x, uint32_t multiplier,
                               hwy::HWY_NAMESPACE::Vec<RowWords>& high,
                               hwy::HWY_NAMESPACE::Vec<RowWords>& low) {
  namespace hn = hwy::HWY_NAMESPACE;
  const RowWords d;
  const hn::RepartitionToWide<RowWords> wide;
  const auto m = hn::Set(d, multiplier);
  const auto even = hn::MulEven(x, m);
  const auto odd = hn::MulEven(hn::BitCast(d, hn::ShiftRight<32>(hn::BitCast(wide, x))), m);
  low = hn::OddEven(hn::BitCast(d, hn::ShiftLeft<32>(odd)), hn::BitCast(d, even));
  high = hn::OddEven(hn::BitCast(d, odd), hn::BitCast(d, hn::ShiftRight<32>(even)));
}

// What all lanes have in common: the key and the counter's last three words.
struct PhiloxPlace {
  uint64_t key = 0;
  uint32_t c1 = 0;
  uint32_t c2 = 0;
  uint32_t c3 = 0;
};

// words[w * 16 + i] = word w of the counter {first + i, place}, for i < 16 and w < 4.
HWY_NOINLINE inline void Philox16(const PhiloxPlace& place, uint32_t first, uint32_t* HWY_RESTRICT words) {
  namespace hn = hwy::HWY_NAMESPACE;
  const RowWords d;
  for (int64_t lane = 0; lane < kRowGroup; lane += kRowLanes) {
    auto c0 = hn::Iota(d, static_cast<uint32_t>(first + lane)), c1 = hn::Set(d, place.c1);
    auto c2 = hn::Set(d, place.c2), c3 = hn::Set(d, place.c3);
    auto key0 = static_cast<uint32_t>(place.key), key1 = static_cast<uint32_t>(place.key >> 32);
    for (int round = 0; round < 10; ++round, key0 += 0x9E3779B9u, key1 += 0xBB67AE85u) {
      hn::Vec<RowWords> high0, low0, high2, low2;
      PhiloxMultiply(c0, 0xD2511F53u, high0, low0);
      PhiloxMultiply(c2, 0xCD9E8D57u, high2, low2);
      c0 = hn::Xor(hn::Xor(high2, c1), hn::Set(d, key0));
      c2 = hn::Xor(hn::Xor(high0, c3), hn::Set(d, key1));
      c1 = low2;
      c3 = low0;
    }
    hn::Store(c0, d, words + lane);
    hn::Store(c1, d, words + kRowGroup + lane);
    hn::Store(c2, d, words + 2 * kRowGroup + lane);
    hn::Store(c3, d, words + 3 * kRowGroup + lane);
  }
}

// Applies dropout to the vectors of one row, in order (any order gives the same result, but more slowly).
// 16 counters {16 g + i, token, 0, 0} serve 128 columns from 128 g on: columns [16 b, 16 b + 16) of them take
// half b % 2 of word b / 2, column i of those from counter i.
class DropoutOfRow {
 public:
  HWY_INLINE DropoutOfRow(const Dropout& dropout, int64_t row)
      : drop_below_(static_cast<int32_t>(dropout.rate * 65536.0f + 0.5f)),
        keep_scale_(65536.0f / (65536.0f - static_cast<float>(drop_below_))) {
    place_.key = dropout.key;
    place_.c1 = dropout.first_token + static_cast<uint32_t>(row);
  }

  // x at columns [column, column + kRowLanes); column is a multiple of kRowLanes.
  HWY_INLINE RowVec Apply(int64_t column, RowVec x) {
    namespace hn = hwy::HWY_NAMESPACE;
    if (drop_below_ == 0) return x;
    if (column / 128 != group_) Draw(column / 128);
    const RowWords d;
    const int64_t block = column / kRowGroup % 8;
    const auto words = hn::Load(d, words_ + block / 2 * kRowGroup + column % kRowGroup);
    const auto bits = block % 2 == 0 ? hn::And(words, hn::Set(d, 0xFFFFu)) : hn::ShiftRight<16>(words);
    // Both are below 2^16, so they can be compared as signed numbers, which every target supports.
    const hn::RebindToSigned<RowWords> i;
    const auto drop = hn::Lt(hn::BitCast(i, bits), hn::Set(i, drop_below_));
    return hn::IfThenZeroElse(hn::RebindMask(RowTag(), drop), hn::Mul(x, RowSet(keep_scale_)));
  }

 private:
  HWY_INLINE void Draw(int64_t group) {
    group_ = group;
    Philox16(place_, static_cast<uint32_t>(group * kRowGroup), words_);
  }

  int32_t drop_below_;
  float keep_scale_;
  PhiloxPlace place_;
  int64_t group_ = -1;
  HWY_ALIGN uint32_t words_[4 * kRowGroup];
};

}  // namespace HWY_NAMESPACE
}  // namespace shoal::kernels
HWY_AFTER_NAMESPACE();

#endif  // SHOAL_KERNELS_PHILOX_INL_H_
