#include "kernels/gemm_bf16_avx512.h"

// GCC 12 warns of its own _mm512_undefined_epi32 inside the intrinsics (GCC bug 105593).
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#include <immintrin.h>

#include <algorithm>
#include <cstring>
#include <type_traits>

#include "kernels/flush_denormals.h"
#include "kernels/gemm_finish.h"
#include "kernels/gemm_prefetch.h"
#include "kernels/thread_pool.h"

// Highway of Debian 12 has no target with AVX512_BF16. All includes stand above, so that no inline function
// of a header is compiled for it.
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")

namespace shoal {
namespace {

constexpr int64_t kLanes = 16;
constexpr int kVectors = 2;
constexpr int64_t kColumns = kVectors * kLanes;
constexpr int kRows = 14;  // 28 sums, 2 vectors of B and one of A fill the 32 registers
// Steps, a pair of k each, for each cache line of the next panel of A, and how far ahead B is brought.
constexpr int64_t kPairsALine = 6;
constexpr int64_t kPairsAhead = 16;
// How far ahead packing brings B: rows, or what is stored as columns.
constexpr int64_t kRowsAhead = 4;
constexpr int64_t kElementsAhead = 96;

// All sizes below count bf16; a pair is two of consecutive k, side by side.
constexpr int64_t kPairColumns = 2 * kColumns;  // packed B: one pair of k in all columns of a panel
constexpr int64_t kGroup = 2 * kLanes;          // what a vector holds

// Where pair p of row r is in a packed panel of A: rows stay rows of one block of K; columns of a transposed
// A become groups of 16 pairs, of which kRows are used.
template <bool kTransposed>
struct PanelStrides {
  static constexpr int64_t kRow = kTransposed ? 2 : kGemmBlockK;
  static constexpr int64_t kPair = kTransposed ? kGroup : 2;
};
constexpr int64_t kPanelSize = kLanes * kGemmBlockK;

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

// Hints that what Load takes from here is needed soon.
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

// ---- the micro-kernel ----

// Where a tile's elements of C are rounded to, with the bias [columns] when there is one.
struct Rounded {
  Bf16* c = nullptr;  // null: the tile stays sums
  int64_t ldc = 0;
  const float* bias = nullptr;
};

void StoreRounded(__m512 sums, const float* bias, Bf16* c) {
  const __m512 x = bias != nullptr ? _mm512_add_ps(sums, _mm512_loadu_ps(bias)) : sums;
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(c), reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(x)));
}

// sums[kTileRows, kColumns] (+)= a times b over pairs of k, or `rounded` becomes that. `lines_ahead` are
// brought meanwhile.
template <int kTileRows, bool kTransposed>
__attribute__((noinline)) void MicroKernel(const Bf16* __restrict a, const Bf16* __restrict b, int64_t pairs,
                                           float* __restrict sums, int64_t stride, bool add,
                                           const Rounded& rounded, const LinesAhead& lines_ahead) {
  using Strides = PanelStrides<kTransposed>;
  __m512 tile[kTileRows][kVectors];
#pragma GCC unroll 16
  for (int r = 0; r < kTileRows; ++r) {
#pragma GCC unroll 2
    for (int v = 0; v < kVectors; ++v) {
      tile[r][v] = _mm512_setzero_ps();
      rounded.c == nullptr ? __builtin_prefetch(sums + r * stride + v * kLanes, 1)
                           : __builtin_prefetch(rounded.c + r * rounded.ldc + v * kLanes, 1);
    }
  }
  LinesAhead ahead = lines_ahead;
  for (int64_t begin = 0; begin < pairs; begin += kPairsALine) {
    ahead.BringNext();
    const int64_t end = std::min(pairs, begin + kPairsALine);
    for (int64_t p = begin; p < end; ++p) {
      __m512bh columns[kVectors];
#pragma GCC unroll 2
      for (int v = 0; v < kVectors; ++v) {
        columns[v] = reinterpret_cast<__m512bh>(_mm512_load_si512(b + p * kPairColumns + v * kGroup));
        __builtin_prefetch(b + (p + kPairsAhead) * kPairColumns + v * kGroup);
      }
#pragma GCC unroll 16
      for (int r = 0; r < kTileRows; ++r) {
        int pair;
        std::memcpy(&pair, a + r * Strides::kRow + p * Strides::kPair, sizeof(pair));
        const auto row = reinterpret_cast<__m512bh>(_mm512_set1_epi32(pair));
#pragma GCC unroll 2
        for (int v = 0; v < kVectors; ++v) tile[r][v] = _mm512_dpbf16_ps(tile[r][v], row, columns[v]);
      }
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < kTileRows; ++r) {
#pragma GCC unroll 2
    for (int v = 0; v < kVectors; ++v) {
      float* to = sums + r * stride + v * kLanes;
      if (add) tile[r][v] = _mm512_add_ps(_mm512_loadu_ps(to), tile[r][v]);
      if (rounded.c == nullptr) _mm512_storeu_ps(to, tile[r][v]);
    }
  }
  if (rounded.c == nullptr) return;
#pragma GCC unroll 16
  for (int r = 0; r < kTileRows; ++r) {
#pragma GCC unroll 2
    for (int v = 0; v < kVectors; ++v) {
      const float* bias = rounded.bias != nullptr ? rounded.bias + v * kLanes : nullptr;
      StoreRounded(tile[r][v], bias, rounded.c + r * rounded.ldc + v * kLanes);
    }
  }
}

using KernelFunction = void (*)(const Bf16*, const Bf16*, int64_t, float*, int64_t, bool, const Rounded&,
                                const LinesAhead&);

template <bool kTransposed, int kTileRows = kRows>
KernelFunction KernelFor(int64_t rows) {
  if constexpr (kTileRows > 1) {
    if (rows < kTileRows) return KernelFor<kTransposed, kTileRows - 1>(rows);
  }
  return &MicroKernel<kTileRows, kTransposed>;
}

// ---- A ----

void PackRows(const GemmProblem& problem, Range m, Range k, Bf16* __restrict panel) {
  for (int64_t i = m.begin; i < m.end; ++i, panel += kGemmBlockK) {
    const Bf16* from = problem.A<Bf16>(i, k.begin);
    for (int64_t kk = 0; kk < k.size(); kk += kGroup)
      _mm512_storeu_si512(panel + kk, Load(from + kk, k.size() - kk));
  }
}

void PackColumns(const GemmProblem& problem, Range m, Range k, Bf16* __restrict panel) {
  // Not past the end of a row: it may be the last.
  const __mmask16 mask =
      m.begin + kLanes <= problem.m ? 0xffff : static_cast<__mmask16>((1u << m.size()) - 1);
  for (int64_t kk = k.begin; kk < k.end; kk += 2, panel += kGroup) {
    const Bf16* from = problem.A<Bf16>(m.begin, kk);
    const __m512i first = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(mask, from));
    const __m512i second = kk + 1 < k.end
                               ? _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(mask, from + problem.lda))
                               : _mm512_setzero_si512();
    _mm512_storeu_si512(panel, _mm512_or_si512(first, _mm512_slli_epi32(second, 16)));
  }
}

// ---- B ----

// Panels of `panel` elements each, row by row of B, so that what is read are long runs.
template <typename T>
void PackRowsOfB(const GemmProblem& problem, Range k, Range n, int64_t panel, Bf16* __restrict packed) {
  for (int64_t kk = k.begin; kk < k.end; kk += 2, packed += kPairColumns) {
    Bf16* to = packed;
    for (int64_t j = n.begin; j < n.end; j += kColumns, to += panel) {
      const T* from = problem.B<T>(kk, j);
      Bring(from + kRowsAhead * problem.ldb);
      Bring(from + (kRowsAhead + 1) * problem.ldb);
      const __m512i first = Load(from, n.end - j);
      const __m512i second = kk + 1 < k.end ? Load(from + problem.ldb, n.end - j) : _mm512_setzero_si512();
      const Pairs pairs = Interleave(first, second);
      _mm512_store_si512(to, pairs.low);
      _mm512_store_si512(to + kGroup, pairs.high);
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
  // Now quarter q of rows[4g + i] is pair 4q + i of the columns 4g to 4g + 3.
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
void PackTransposedPanel(const GemmProblem& problem, Range k, Range n, Bf16* __restrict packed) {
  const int64_t pairs = (k.size() + 1) / 2;
  for (int v = 0; v < kVectors; ++v) {
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
void PackPanels(const GemmProblem& problem, Range k, Range n, Bf16* packed) {
  const int64_t panel = (k.size() + 1) / 2 * kPairColumns;
  if (!problem.trans_b) return PackRowsOfB<T>(problem, k, n, panel, packed);
  for (int64_t j = n.begin; j < n.end; j += kColumns, packed += panel) {
    const Range columns = {j, std::min(n.end, j + kColumns)};
    PackTransposedPanel<T>(problem, k, columns, packed);
  }
}

void PackB(const GemmProblem& problem, Range k, Range n, void* packed) {
  auto* to = static_cast<Bf16*>(packed);
  problem.b_type == DType::kBf16 ? PackPanels<Bf16>(problem, k, n, to) : PackPanels<float>(problem, k, n, to);
}

// ---- C ----

// A tile at the right edge: through a full tile, of which the last columns are thrown away.
void EdgeTile(KernelFunction kernel, const Bf16* a, const Bf16* b, int64_t pairs, const GemmSums& sums,
              Range m, Range n, const LinesAhead& ahead) {
  alignas(64) float tile[kRows * kColumns];
  kernel(a, b, pairs, tile, kColumns, false, {}, ahead);
  for (int64_t i = 0; i < m.size(); ++i) {
    float* out = sums.At(m.begin + i, n.begin);
    const float* from = tile + i * kColumns;
    for (int64_t j = 0; j < n.size(); ++j) out[j] = sums.add ? out[j] + from[j] : from[j];
  }
}

template <bool kTransposed>
void MultiplyPanels(const GemmProblem& problem, const GemmSums& sums, Range m, Range n, Range k,
                    const Bf16* packed, bool round, Bf16* panel) {
  const int64_t pairs = (k.size() + 1) / 2;
  for (int64_t i = m.begin; i < m.end; i += kRows) {
    const Range rows = {i, std::min(m.end, i + kRows)};
    kTransposed ? PackColumns(problem, rows, k, panel) : PackRows(problem, rows, k, panel);
    const KernelFunction kernel = KernelFor<kTransposed>(rows.size());
    const NextPanel<Bf16> next(problem, m, k, rows.end, kRows, CutCount(n.size(), kColumns), panel);
    const Bf16* b = packed;
    for (int64_t j = n.begin; j < n.end; j += kColumns, b += pairs * kPairColumns) {
      const LinesAhead ahead = next.OfCall((j - n.begin) / kColumns);
      if (n.end - j < kColumns) {
        EdgeTile(kernel, panel, b, pairs, sums, rows, {j, n.end}, ahead);
        continue;
      }
      Rounded rounded;
      if (round) {
        rounded = {problem.C<Bf16>(i, j), problem.ldc, problem.bias == nullptr ? nullptr : problem.bias + j};
      }
      kernel(panel, b, pairs, sums.At(i, j), sums.stride, sums.add, rounded, ahead);
    }
  }
}

void Multiply(const GemmProblem& problem, const GemmSums& sums, Range m, Range n, Range k, const void* packed,
              void* scratch) {
  const FlushDenormals flush;
  const auto* b = static_cast<const Bf16*>(packed);
  auto* panel = static_cast<Bf16*>(scratch);
  const bool last = k.end == problem.k, round = last && problem.c_type == DType::kBf16;
  problem.trans_a ? MultiplyPanels<true>(problem, sums, m, n, k, b, round, panel)
                  : MultiplyPanels<false>(problem, sums, m, n, k, b, round, panel);
  // What the micro-kernel has not: a C of f32, or an edge's columns.
  const int64_t rounded = round ? n.size() / kColumns * kColumns : 0;
  if (!last || rounded == n.size()) return;
  const Range rest = {n.begin + rounded, n.end};
  FinishTile(PartOf(problem, m, rest), sums.At(m.begin, rest.begin), sums.stride);
}

}  // namespace

GemmKernel Avx512Bf16Kernel() {
  GemmKernel kernel;
  kernel.panel_rows = kRows;
  kernel.panel_columns = kColumns;
  kernel.packed_element_bytes = sizeof(Bf16);
  kernel.k_unit = 2;
  kernel.scratch_bytes = kPanelSize * static_cast<int64_t>(sizeof(Bf16));
  kernel.pack_b = &PackB;
  kernel.multiply = &Multiply;
  return kernel;
}

}  // namespace shoal

#pragma GCC pop_options
