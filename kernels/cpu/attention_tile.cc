#include "kernels/cpu/attention_tile.h"

#include <algorithm>
#include <limits>

#include "kernels/attention.h"
#include "kernels/cpu/row_loops.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/attention_tile.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
#include "kernels/cpu/math-inl.h"
#include "kernels/cpu/philox-inl.h"
#include "kernels/cpu/row-inl.h"

HWY_BEFORE_NAMESPACE();
namespace shoal::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using Mask = hn::Mask<RowTag>;

constexpr float kNothing = -std::numeric_limits<float>::infinity();

// The lanes at `first` that are before `end`.
HWY_INLINE Mask Before(int64_t first, int64_t end) {
  return hn::FirstN(RowTag(), static_cast<size_t>(std::clamp<int64_t>(end - first, 0, kRowLanes)));
}

// Random bits for one head of one example. The probabilities of a row are cut into blocks of 16, the blocks
// of all rows are numbered in order, and 8 blocks share 16 Philox counters: block n takes half n % 2 of word
// (n % 8) / 2, lane i from counter (n / 8) * 16 + i. So short rows waste no bits.
class DropoutBits {
 public:
  explicit DropoutBits(const AttentionTile& tile)
      : tile_(tile), blocks_of_row_((tile.length + kRowGroup - 1) / kRowGroup) {}

  // Which of the lanes at `key` (a multiple of kRowLanes) of `query` are kept.
  HWY_INLINE Mask Keep(int64_t query, int64_t key) {
    const RowWords d;
    const int64_t block = query * blocks_of_row_ + key / kRowGroup;
    if (block / 8 != group_) Draw(block / 8);
    const auto words = hn::Load(d, words_ + (block % 8) / 2 * kRowGroup + key % kRowGroup);
    const auto bits = block % 2 == 0 ? hn::And(words, hn::Set(d, 0xffffu)) : hn::ShiftRight<16>(words);
    // Both are below 2^16, so they can be compared as signed numbers, which every target supports.
    const hn::RebindToSigned<RowWords> i;
    return hn::RebindMask(
        RowTag(), hn::Gt(hn::BitCast(i, bits), hn::Set(i, static_cast<int32_t>(tile_.drop_below) - 1)));
  }

 private:
  HWY_NOINLINE void Draw(int64_t group) {
    group_ = group;
    PhiloxPlace place;
    place.key = tile_.philox_key;
    place.c1 = tile_.head;
    place.c2 = tile_.example;
    Philox16(place, static_cast<uint32_t>(group * kRowGroup), words_);
  }

  const AttentionTile& tile_;
  const int64_t blocks_of_row_;
  int64_t group_ = -1;
  HWY_ALIGN uint32_t words_[4 * kRowGroup];
};

// Keeps or drops the lanes of x at key `first_key + i` of a row.
HWY_INLINE RowVec Drop(const AttentionTile& tile, DropoutBits& bits, int64_t row, int64_t i, RowVec x) {
  if (tile.drop_below == 0) return x;
  const Mask keep = bits.Keep(tile.first_query + row, tile.first_key + i);
  return hn::IfThenElseZero(keep, hn::Mul(x, hn::Set(RowTag(), tile.keep_scale)));
}

// Scales a row and returns its largest element.
float ScaleScores(float* row, int64_t keys, float scale) {
  const RowTag d;
  const RowVec nothing = hn::Set(d, kNothing);
  RowVec largest = nothing;
  for (int64_t i = 0; i < keys; i += kRowLanes) {
    const RowVec x = hn::Mul(hn::Load(d, row + i), hn::Set(d, scale));
    hn::Store(x, d, row + i);
    largest = hn::Max(largest, hn::IfThenElse(Before(i, keys), x, nothing));
  }
  return hn::GetLane(hn::MaxOfLanes(d, largest));
}

// Probabilities of a row: exp(score - maximum), 0 from `keys` to the tile's end, then dropout. Returns the
// sum before dropout.
template <class T>
float ExpRow(const AttentionTile& tile, DropoutBits& bits, int64_t row, float maximum, const float* scores,
             T* probabilities) {
  const RowTag d;
  const int64_t keys = tile.KeysOf(row);
  RowSum sum;
  for (int64_t i = 0; i < tile.keys; i += kRowGroup) {
    for (int64_t part = 0; part < kRowParts; ++part) {
      const int64_t at = i + part * kRowLanes;
      const RowVec x = HWY_NAMESPACE::Exp(d, hn::Sub(hn::Load(d, scores + at), hn::Set(d, maximum)));
      const RowVec p = hn::IfThenElseZero(Before(at, keys), x);
      sum.Add(part, p);
      WholeLanes().Store(Drop(tile, bits, row, at, p), probabilities + at);
    }
  }
  return sum.Join();
}

template <class T>
void SoftmaxRows(const AttentionTile& tile, float* scores, T* probabilities, float* maximum, float* sum,
                 float* rescale) {
  DropoutBits bits(tile);
  for (int64_t row = 0; row < tile.queries; ++row) {
    const int64_t at = row * kAttentionKeyTile;
    const float largest = std::max(maximum[row], ScaleScores(scores + at, tile.KeysOf(row), tile.scale));
    rescale[row] = hn::GetLane(HWY_NAMESPACE::Exp(RowTag(), hn::Set(RowTag(), maximum[row] - largest)));
    if (maximum[row] == kNothing) rescale[row] = 0;
    sum[row] = sum[row] * rescale[row] + ExpRow(tile, bits, row, largest, scores + at, probabilities + at);
    maximum[row] = largest;
  }
}

void Softmax(const AttentionTile& tile, float* scores, DType type, void* probabilities, float* maximum,
             float* sum, float* rescale) {
  type == DType::kF32 ? SoftmaxRows(tile, scores, static_cast<float*>(probabilities), maximum, sum, rescale)
                      : SoftmaxRows(tile, scores, static_cast<Bf16*>(probabilities), maximum, sum, rescale);
}

template <class T>
void SoftmaxBackwardRow(const AttentionTile& tile, DropoutBits& bits, int64_t row,
                        const SoftmaxBackwardArgs& args) {
  const RowTag d;
  const int64_t keys = tile.KeysOf(row), at = row * kAttentionKeyTile;
  const RowVec maximum = hn::Set(d, args.maximum[row]), inverse_sum = hn::Set(d, args.inverse_sum[row]);
  T* probabilities = static_cast<T*>(args.probabilities) + at;
  T* d_scores = static_cast<T*>(args.d_scores) + at;
  for (int64_t i = 0; i < tile.keys; i += kRowLanes) {
    const RowVec score = hn::Mul(hn::Load(d, args.scores + at + i), hn::Set(d, tile.scale));
    const RowVec x = hn::Mul(HWY_NAMESPACE::Exp(d, hn::Sub(score, maximum)), inverse_sum);
    const RowVec p = hn::IfThenElseZero(Before(i, keys), x);
    const RowVec gradient = hn::IfThenElseZero(Before(i, keys), hn::Load(d, args.d_probabilities + at + i));
    const RowVec d_p = hn::Sub(Drop(tile, bits, row, i, gradient), hn::Set(d, args.delta[row]));
    WholeLanes().Store(Drop(tile, bits, row, i, p), probabilities + i);
    WholeLanes().Store(hn::Mul(hn::Mul(p, d_p), hn::Set(d, tile.scale)), d_scores + i);
  }
}

void SoftmaxBackward(const AttentionTile& tile, const SoftmaxBackwardArgs& args) {
  DropoutBits bits(tile);
  const auto row = args.type == DType::kF32 ? &SoftmaxBackwardRow<float> : &SoftmaxBackwardRow<Bf16>;
  for (int64_t i = 0; i < tile.queries; ++i) row(tile, bits, i, args);
}

template <class T>
void StoreRow(const float* x, int64_t columns, float factor, T* y) {
  ForRow(columns, [&](int64_t i, int64_t, const auto& lanes)
                      HWY_ATTR { lanes.Store(hn::Mul(lanes.Load(x + i), RowSet(factor)), y + i); });
}

void Store(const ConstTensor& x, const float* factor, const Tensor& y) {
  for (int64_t i = 0; i < x.dim(0); ++i) {
    const float* from = RowOf<float>(x, i);
    const float f = factor != nullptr ? factor[i] : 1.0f;
    y.type() == DType::kF32 ? StoreRow(from, x.dim(1), f, RowOf<float>(y, i))
                            : StoreRow(from, x.dim(1), f, RowOf<Bf16>(y, i));
  }
}

template <class T>
float Dot(const T* x, const T* y, int64_t columns) {
  RowSum sum;
  ForRow(columns, [&](int64_t i, int64_t part, const auto& lanes)
                      HWY_ATTR { sum.MulAdd(part, lanes.Load(x + i), lanes.Load(y + i)); });
  return sum.Join();
}

void Dots(const ConstTensor& x, const ConstTensor& y, float* dots) {
  for (int64_t i = 0; i < x.dim(0); ++i) {
    dots[i] = x.type() == DType::kF32 ? Dot(RowOf<float>(x, i), RowOf<float>(y, i), x.dim(1))
                                      : Dot(RowOf<Bf16>(x, i), RowOf<Bf16>(y, i), x.dim(1));
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace shoal::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace shoal::kernels {

HWY_EXPORT(Softmax);
HWY_EXPORT(SoftmaxBackward);
HWY_EXPORT(Store);
HWY_EXPORT(Dots);

void SoftmaxTile(const AttentionTile& tile, float* scores, DType type, void* probabilities, float* maximum,
                 float* sum, float* rescale) {
  HWY_DYNAMIC_DISPATCH(Softmax)(tile, scores, type, probabilities, maximum, sum, rescale);
}

void SoftmaxBackwardTile(const AttentionTile& tile, const SoftmaxBackwardArgs& args) {
  HWY_DYNAMIC_DISPATCH(SoftmaxBackward)(tile, args);
}

void ScaleRows(const Tensor& x, const float* factor) { HWY_DYNAMIC_DISPATCH(Store)(x, factor, x); }

void StoreRows(const ConstTensor& x, const float* factor, const Tensor& y) {
  HWY_DYNAMIC_DISPATCH(Store)(x, factor, y);
}

void RowDots(const ConstTensor& x, const ConstTensor& y, float* dots) {
  HWY_DYNAMIC_DISPATCH(Dots)(x, y, dots);
}

}  // namespace shoal::kernels
#endif  // HWY_ONCE
