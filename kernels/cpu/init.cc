#include "kernels/init.h"

#include <algorithm>

#include "common/base/status.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/init.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
#include "kernels/cpu/math-inl.h"
#include "kernels/cpu/philox-inl.h"

#ifndef SHOAL_KERNELS_INIT_CPU_ONCE
#define SHOAL_KERNELS_INIT_CPU_ONCE
namespace shoal::kernels {

// Elements come in groups, each from one call of Philox16: elements 64 g + 32 p + i and 64 g + 32 p + 16 + i
// are a pair, made from words 2 p and 2 p + 1 of counter 16 g + i.
inline constexpr int64_t kInitGroup = 64;

}  // namespace shoal::kernels
#endif

HWY_BEFORE_NAMESPACE();
namespace shoal::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// The top kBits bits of each word, k, as a number: (k + offset) / 2^kBits.
template <int kBits>
HWY_INLINE RowVec UniformOf(const uint32_t* words, float offset) {
  const auto k = hn::ShiftRight<32 - kBits>(hn::Load(RowWords(), words));
  const auto number = hn::ConvertTo(RowTag(), hn::BitCast(hn::RebindToSigned<RowWords>(), k));
  return hn::Mul(hn::Add(number, RowSet(offset)), RowSet(1.0f / (1 << kBits)));
}

void DrawWords(uint64_t key, uint64_t group, uint32_t* words) {
  const uint64_t counter = group * kRowGroup;
  PhiloxPlace place;
  place.key = key;
  place.c1 = static_cast<uint32_t>(counter >> 32);
  Philox16(place, static_cast<uint32_t>(counter), words);
}

// {out[i], out[i + 16]} = sqrt(-2 log u) {cos, sin}(2 pi v) * deviation + mean: u of words[i], v of words[i +
// 16].
HWY_INLINE void NormalPairs(const uint32_t* words, float mean, float deviation, float* out) {
  const RowTag d;
  const RowVec u = UniformOf<23>(words, 0.5f);  // never 0
  const RowVec v = UniformOf<24>(words + kRowGroup, 0.0f);
  const RowVec radius = hn::Mul(hn::Sqrt(hn::Mul(Log(d, u), RowSet(-2.0f))), RowSet(deviation));
  RowVec sine, cosine;
  SinCosOfTurns(d, v, sine, cosine);
  hn::StoreU(hn::MulAdd(radius, cosine, RowSet(mean)), d, out);
  hn::StoreU(hn::MulAdd(radius, sine, RowSet(mean)), d, out + kRowGroup);
}

void NormalGroup(uint64_t key, uint64_t group, float mean, float deviation, float* out) {
  HWY_ALIGN uint32_t words[kInitGroup];
  DrawWords(key, group, words);
  for (int64_t pair = 0; pair < kInitGroup; pair += 2 * kRowGroup) {
    for (int64_t lane = pair; lane < pair + kRowGroup; lane += kRowLanes) {
      NormalPairs(words + lane, mean, deviation, out + lane);
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace shoal::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace shoal::kernels {

HWY_EXPORT(NormalGroup);

// Whole and partial groups.
void FillNormal(uint64_t key, uint64_t first, float mean, float deviation, absl::Span<float> out) {
  for (size_t done = 0; done < out.size();) {
    const uint64_t at = first + done, skip = at % kInitGroup;
    const size_t count = std::min<size_t>(kInitGroup - skip, out.size() - done);
    HWY_ALIGN float group[kInitGroup];
    HWY_DYNAMIC_DISPATCH(NormalGroup)(key, at / kInitGroup, mean, deviation, group);
    std::copy_n(group + skip, count, out.data() + done);
    done += count;
  }
}

}  // namespace shoal::kernels
#endif  // HWY_ONCE
