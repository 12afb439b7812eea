#include "kernels/cpu/gemm/gemm_bf16_pack.h"

// GCC 12 warns about its own _mm512_undefined_epi32 inside the intrinsics (GCC bug 105593).
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#include <immintrin.h>

#include <algorithm>

#include "common/base/thread_pool.h"
#include "hwy/base.h"

// Debian 12's Highway has no target with AVX512_BF16. All includes come before this, so that no inline
// function of a header is compiled for that instruction set.
HWY_PUSH_ATTRIBUTES("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")

namespace shoal::kernels {
namespace {

constexpr int64_t kLanes = 16;
constexpr int64_t kGroup = 2 * kLanes;  // elements in a vector
constexpr int64_t kColumns = kBf16PanelColumns;
constexpr int64_t kPairColumns = kBf16PairColumns;
// How far ahead packing prefetches B: rows of a stored [K,N], or elements of each row of a stored [N,K].
constexpr int64_t kRowsAhead = 4;
constexpr int64_t kElementsAhead = 96;

__mmask32 FirstOf(int64_t count) {
  return static_cast<__mmask32>(count >= kGroup ? ~0u : (1u << std::max<int64_t>(count, 0)) - 1);
}

// The first `count` of 32 elements as bf16, the others 0.
__m512i Load(const Bf16* from, int64_t count) { return _mm512_maskz_loadu_epi16(FirstOf(count), from); }
__m512i Load(const float* from, int64_t count) {
  const __mmask32 mask = FirstOf(count);
  const __m512 low = _mm512_maskz_loadu_ps(static_cast<__mmask16>(mask), from);
  const __m512 high = _mm512_maskz_loadu_ps(static_cast<__mmask16>(mask >> 16), from + kLanes);
  return reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(high, low));
}

// Hints that what Load reads from here is needed soon.
template <typename T>
void Bring(const T* from) {
  constexpr int64_t kLine = 64 / sizeof(T);
  for (int64_t i = 0; i < kGroup; i += kLine) __builtin_prefetch(from + i);
}

// low = pairs (first[i], second[i]) for i < 16, high = those of the others.
struct Pairs {
  __m512i low, high;
};
Pairs Interleave(__m512i first, __m512i second) {
  alignas(64) static constexpr uint16_t kLow[32] = {0,  32, 1,  33, 2,  34, 3,  35, 4,  36, 5,
                                                    37, 6,  38, 7,  39, 8,  40, 9,  41, 10, 42,
                                                    11, 43, 12, 44, 13, 45, 14, 46, 15, 47};
  const __m512i low = _mm512_load_si512(kLow);
  const __m512i high = _mm512_add_epi16(low, _mm512_set1_epi16(16));
  return {_mm512_permutex2var_epi16(first, low, second), _mm512_permutex2var_epi16(first, high, second)};
}

// Packs panels by rows of B, so that it reads long runs.
template <typename T>
void PackRowsOfB(const GemmProblem& problem, Range k, Range n, int64_t pairs, Bf16* __restrict packed) {
  for (int64_t kk = k.begin; kk < k.begin + 2 * pairs; kk += 2, packed += kPairColumns) {
    Bf16* to = packed;
    for (int64_t j = n.begin; j < n.end; j += kColumns, to += pairs * kPairColumns) {
      const T* from = problem.B<T>(kk, j);
      Bring(from + kRowsAhead * problem.ldb);
      Bring(from + (kRowsAhead + 1) * problem.ldb);
      const __m512i first = kk < k.end ? Load(from, n.end - j) : _mm512_setzero_si512();
      const __m512i second = kk + 1 < k.end ? Load(from + problem.ldb, n.end - j) : _mm512_setzero_si512();
      const Pairs interleaved = Interleave(first, second);
      _mm512_store_si512(to, interleaved.low);
      _mm512_store_si512(to + kGroup, interleaved.high);
    }
  }
}

// Rows of 16 pairs become columns.
void Transpose(__m512i (&rows)[16]) {
  __m512i t[16];
#pragma GCC unroll 8
  for (int i = 0; i < 16; i += 2) {
    t[i] = _mm512_unpacklo_epi32(rows[i], rows[i + 1]);
    t[i + 1] = _mm512_unpackhi_epi32(rows[i], rows[i + 1]);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 16; i += 4) {
    rows[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
    rows[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
    rows[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
    rows[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
  }
  // Now quarter q of rows[4g + i] is pair 4q + i of columns 4g to 4g + 3.
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    const __m512i even_low = _mm512_shuffle_i32x4(rows[i], rows[4 + i], 0x88);
    const __m512i odd_low = _mm512_shuffle_i32x4(rows[i], rows[4 + i], 0xDD);
    const __m512i even_high = _mm512_shuffle_i32x4(rows[8 + i], rows[12 + i], 0x88);
    const __m512i odd_high = _mm512_shuffle_i32x4(rows[8 + i], rows[12 + i], 0xDD);
    t[i] = _mm512_shuffle_i32x4(even_low, even_high, 0x88);
    t[4 + i] = _mm512_shuffle_i32x4(odd_low, odd_high, 0x88);
    t[8 + i] = _mm512_shuffle_i32x4(even_low, even_high, 0xDD);
    t[12 + i] = _mm512_shuffle_i32x4(odd_low, odd_high, 0xDD);
  }
#pragma GCC unroll 16
  for (int i = 0; i < 16; ++i) rows[i] = t[i];
}

// The same from a stored [N,K]: 16 columns at a time.
template <typename T>
void PackTransposedPanel(const GemmProblem& problem, Range k, Range n, int64_t pairs,
                         Bf16* __restrict packed) {
  for (int64_t v = 0; v < kColumns / kLanes; ++v) {
    const int64_t columns = n.size() - v * kLanes;
    for (int64_t p = 0; p < pairs; p += kLanes) {
      __m512i rows[16];
      for (int64_t j = 0; j < kLanes; ++j) {
        const T* from = problem.B<T>(k.begin + 2 * p, n.begin + v * kLanes + j);
        Bring(from + kElementsAhead);
        rows[j] = j < columns ? Load(from, k.size() - 2 * p) : _mm512_setzero_si512();
      }
      Transpose(rows);
      for (int64_t i = 0; i < std::min(kLanes, pairs - p); ++i)
        _mm512_store_si512(packed + (p + i) * kPairColumns + v * kGroup, rows[i]);
    }
  }
}

template <typename T>
void PackPanels(const GemmProblem& problem, Range k, Range n, int64_t pairs, Bf16* packed) {
  if (!problem.trans_b) return PackRowsOfB<T>(problem, k, n, pairs, packed);
  for (int64_t j = n.begin; j < n.end; j += kColumns, packed += pairs * kPairColumns)
    PackTransposedPanel<T>(problem, k, {j, std::min(n.end, j + kColumns)}, pairs, packed);
}

// Columns of a stored [K,M], k up to `end`: 16 rows from `row` on, but none past the last, where there may be
// no memory.
class ColumnPairs {
 public:
  ColumnPairs(const GemmProblem& problem, int64_t row, int64_t end)
      : problem_(problem),
        row_(row),
        end_(end),
        mask_(static_cast<__mmask16>((1u << std::min(kLanes, problem.m - row)) - 1)) {}

  // The rows' pairs (k, k + 1).
  __m512i At(int64_t k) const {
    const Bf16* from = problem_.A<Bf16>(row_, k);
    return _mm512_or_si512(Column(from), _mm512_slli_epi32(Column(from + problem_.lda), 16));
  }
  // The same, where k or k + 1 may be past the end: elements there are 0.
  __m512i AtEnd(int64_t k) const {
    if (k + 1 < end_) return At(k);
    return k < end_ ? Column(problem_.A<Bf16>(row_, k)) : _mm512_setzero_si512();
  }

 private:
  __m512i Column(const Bf16* from) const {
    return _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(mask_, from));
  }

  const GemmProblem& problem_;
  const int64_t row_, end_;
  const __mmask16 mask_;
};

}  // namespace

void PackBf16B(const GemmProblem& problem, Range k, Range n, int64_t k_unit, Bf16* packed) {
  const int64_t pairs = CutCount(k.size(), k_unit) * k_unit / 2;
  problem.b_type == DType::kBf16 ? PackPanels<Bf16>(problem, k, n, pairs, packed)
                                 : PackPanels<float>(problem, k, n, pairs, packed);
}

void PackBf16Rows(const GemmProblem& problem, Range m, Range k, Bf16* __restrict panel) {
  for (int64_t i = m.begin; i < m.end; ++i, panel += kGemmBlockK) {
    const Bf16* from = problem.A<Bf16>(i, k.begin);
    for (int64_t kk = 0; kk < k.size(); kk += kGroup)
      _mm512_storeu_si512(panel + kk, Load(from + kk, k.size() - kk));
  }
}

void PackBf16Columns(const GemmProblem& problem, Range m, Range k, Bf16* panel) {
  for (int64_t i = m.begin; i < m.end; i += kLanes, panel += kLanes * kGemmBlockK) {
    const ColumnPairs pairs(problem, i, k.end);
    for (int64_t kk = 0; kk < k.size(); kk += kGroup) {
      __m512i rows[16];
      for (int64_t p = 0; p < kLanes; ++p) rows[p] = pairs.AtEnd(k.begin + kk + 2 * p);
      Transpose(rows);
      for (int64_t r = 0; r < kLanes; ++r) _mm512_storeu_si512(panel + r * kGemmBlockK + kk, rows[r]);
    }
  }
}

void PackBf16Pairs(const GemmProblem& problem, Range m, Range k, Bf16* __restrict panel) {
  const ColumnPairs pairs(problem, m.begin, k.end);
  int64_t kk = k.begin;
  for (; kk + 1 < k.end; kk += 2, panel += kGroup) _mm512_storeu_si512(panel, pairs.At(kk));
  if (kk < k.end) _mm512_storeu_si512(panel, pairs.AtEnd(kk));
}

}  // namespace shoal::kernels

HWY_POP_ATTRIBUTES
