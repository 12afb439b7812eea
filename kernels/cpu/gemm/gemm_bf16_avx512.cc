#include "kernels/cpu/gemm/gemm_bf16_avx512.h"

// GCC 12 warns about its own _mm512_undefined_epi32 inside the intrinsics (GCC bug 105593).
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#include <immintrin.h>

#include <algorithm>
#include <cstring>

#include "common/base/thread_pool.h"
#include "hwy/base.h"
#include "kernels/cpu/gemm/flush_denormals.h"
#include "kernels/cpu/gemm/gemm_bf16_pack.h"
#include "kernels/cpu/gemm/gemm_finish.h"
#include "kernels/cpu/gemm/gemm_prefetch.h"

// Debian 12's Highway has no target with AVX512_BF16. All includes come before this, so that no inline
// function of a header is compiled for that instruction set.
HWY_PUSH_ATTRIBUTES("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")

namespace shoal::kernels {
namespace {

constexpr int64_t kLanes = 16;
constexpr int kVectors = 2;
constexpr int64_t kColumns = kBf16PanelColumns;
static_assert(kColumns == kVectors * kLanes);
constexpr int kRows = 14;  // 28 sums, 2 vectors of B and one of A fill the 32 registers
// Steps (a pair of k each) per prefetched cache line of the next panel of A, and how many steps ahead B is
// prefetched.
constexpr int64_t kPairsALine = 6;
constexpr int64_t kPairsAhead = 16;

// All sizes below count bf16.
constexpr int64_t kPairColumns = kBf16PairColumns;
constexpr int64_t kGroup = 2 * kLanes;  // elements in a vector

// Where pair p of row r is in a packed panel of A: rows stay rows of one block of K; columns of a transposed
// A become groups of 16 pairs, of which kRows are used.
template <bool kTransposed>
struct PanelStrides {
  static constexpr int64_t kRow = kTransposed ? 2 : kGemmBlockK;
  static constexpr int64_t kPair = kTransposed ? kGroup : 2;
};
constexpr int64_t kPanelSize = kLanes * kGemmBlockK;
constexpr int64_t kUnit = 2;  // blocks of K are whole pairs

// ---- the micro-kernel ----

// Where the rounded elements of C go, with the bias [columns] if there is one.
struct Rounded {
  Bf16* c = nullptr;  // null: the tile stays as sums
  int64_t ldc = 0;
  const float* bias = nullptr;
};

void StoreRounded(__m512 sums, const float* bias, Bf16* c) {
  const __m512 x = bias != nullptr ? _mm512_add_ps(sums, _mm512_loadu_ps(bias)) : sums;
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(c), reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(x)));
}

// sums[kTileRows, kColumns] (+)= a times b over pairs of k, or `rounded` receives the result. Prefetches
// `lines_ahead` meanwhile.
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

// ---- C ----

// A tile at the right edge: computed as a full tile, of which the last columns are discarded.
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
    kTransposed ? PackBf16Pairs(problem, rows, k, panel) : PackBf16Rows(problem, rows, k, panel);
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
  // What the micro-kernel did not finish: a C in f32, or the columns at the edge.
  const int64_t rounded = round ? n.size() / kColumns * kColumns : 0;
  if (!last || rounded == n.size()) return;
  const Range rest = {n.begin + rounded, n.end};
  FinishTile(PartOf(problem, m, rest), sums.At(m.begin, rest.begin), sums.stride);
}

void PackB(const GemmProblem& problem, Range k, Range n, void* packed) {
  PackBf16B(problem, k, n, kUnit, static_cast<Bf16*>(packed));
}

}  // namespace

GemmKernel Avx512Bf16Kernel() {
  GemmKernel kernel;
  kernel.panel_rows = kRows;
  kernel.panel_columns = kColumns;
  kernel.packed_element_bytes = sizeof(Bf16);
  kernel.k_unit = kUnit;
  kernel.scratch_bytes = kPanelSize * static_cast<int64_t>(sizeof(Bf16));
  kernel.pack_b = &PackB;
  kernel.multiply = &Multiply;
  return kernel;
}

}  // namespace shoal::kernels

HWY_POP_ATTRIBUTES
