#include "kernels/cpu/gemm/gemm_own.h"

#include <cstring>

#include "common/base/thread_pool.h"
#include "kernels/cpu/gemm/gemm_finish.h"
#include "kernels/cpu/gemm/gemm_prefetch.h"
#include "kernels/gemm.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/gemm/gemm_own.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace shoal::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using Full = hn::ScalableTag<float>;
using Vec = hn::Vec<Full>;
using Quad = hn::FixedTag<float, 4>;

constexpr int64_t kLanes = hn::MaxLanes(Full());
constexpr int64_t kVectors = 2;
constexpr int64_t kColumns = kVectors * kLanes;
// All accumulators, kVectors of B and one of A fit in the registers: 32 with AVX-512, 16 with AVX2.
constexpr int kRows = kLanes == 16 ? 14 : 6;
// Steps of k per prefetched cache line of the next panel of A, and how many steps ahead B is prefetched.
constexpr int64_t kStepsALine = 12;
constexpr int64_t kStepsAhead = 16;

// Strides inside a packed panel of A, fixed so that the micro-kernel's addresses are constants: rows stay
// rows of one block of K, and columns of a transposed A become groups of a vector, of which kRows are used.
template <bool kTransposed>
struct PanelStrides {
  static constexpr int64_t kRow = kTransposed ? 1 : kGemmBlockK;
  static constexpr int64_t kK = kTransposed ? kLanes : 1;
};

template <int kTileRows>
HWY_INLINE void StoreTile(const Vec (&sums)[kTileRows][kVectors], float* HWY_RESTRICT c, int64_t ldc,
                          bool add) {
  const Full d;
#pragma GCC unroll 16
  for (int r = 0; r < kTileRows; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      float* out = c + r * ldc + v * kLanes;
      hn::StoreU(add ? hn::Add(hn::LoadU(d, out), sums[r][v]) : sums[r][v], d, out);
    }
  }
}

// c[kTileRows, kColumns] (+)= a times b over k steps. Prefetches `lines_ahead` meanwhile.
template <int kTileRows, bool kTransposed>
HWY_NOINLINE void MicroKernel(const float* HWY_RESTRICT a, const float* HWY_RESTRICT b, int64_t k,
                              float* HWY_RESTRICT c, int64_t ldc, bool add, const LinesAhead& lines_ahead) {
  using Strides = PanelStrides<kTransposed>;
  const Full d;
  Vec sums[kTileRows][kVectors];
#pragma GCC unroll 16
  for (int r = 0; r < kTileRows; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      sums[r][v] = hn::Zero(d);
      __builtin_prefetch(c + r * ldc + v * kLanes, 1);
    }
  }
  LinesAhead ahead = lines_ahead;
  for (int64_t begin = 0; begin < k; begin += kStepsALine) {
    ahead.BringNext();
    const int64_t end = std::min(k, begin + kStepsALine);
    for (int64_t i = begin; i < end; ++i) {
      Vec columns[kVectors];
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) {
        columns[v] = hn::Load(d, b + i * kColumns + v * kLanes);
        __builtin_prefetch(b + (i + kStepsAhead) * kColumns + v * kLanes);
      }
#pragma GCC unroll 16
      for (int r = 0; r < kTileRows; ++r) {
        const Vec row = hn::Set(d, a[r * Strides::kRow + i * Strides::kK]);
#pragma GCC unroll 4
        for (int v = 0; v < kVectors; ++v) sums[r][v] = hn::MulAdd(row, columns[v], sums[r][v]);
      }
    }
  }
  StoreTile<kTileRows>(sums, c, ldc, add);
}

using KernelFunction = void (*)(const float*, const float*, int64_t, float*, int64_t, bool,
                                const LinesAhead&);

// The micro-kernel for `rows` rows, at most kTileRows.
template <bool kTransposed, int kTileRows = kRows>
KernelFunction KernelFor(int64_t rows) {
  if constexpr (kTileRows > 1) {
    if (rows < kTileRows) return KernelFor<kTransposed, kTileRows - 1>(rows);
  }
  return &MicroKernel<kTileRows, kTransposed>;
}

// Rows of A, each one contiguous.
void PackRows(const GemmProblem& problem, Range m, Range k, float* HWY_RESTRICT panel) {
  for (int64_t i = m.begin; i < m.end; ++i) {
    std::memcpy(panel + (i - m.begin) * kGemmBlockK, problem.A<float>(i, k.begin), k.size() * sizeof(float));
  }
}

// Groups of columns of a stored [K,M].
void PackColumns(const GemmProblem& problem, Range m, Range k, float* HWY_RESTRICT panel) {
  const Full d;
  const bool whole_vector = m.begin + kLanes <= problem.m;
  for (int64_t i = k.begin; i < k.end; ++i, panel += kLanes) {
    const float* from = problem.A<float>(m.begin, i);
    if (whole_vector) {
      hn::StoreU(hn::LoadU(d, from), d, panel);
    } else {
      std::memcpy(panel, from, m.size() * sizeof(float));
    }
  }
}

// A tile at the right edge: computed as a full tile, of which the last columns are discarded.
void EdgeTile(KernelFunction kernel, const float* a, const float* b, int64_t k, const GemmSums& sums, Range m,
              Range n, const LinesAhead& ahead) {
  HWY_ALIGN float tile[kRows * kColumns];
  kernel(a, b, k, tile, kColumns, false, ahead);
  for (int64_t i = 0; i < m.size(); ++i) {
    float* out = sums.At(m.begin + i, n.begin);
    for (int64_t j = 0; j < n.size(); ++j)
      out[j] = sums.add ? out[j] + tile[i * kColumns + j] : tile[i * kColumns + j];
  }
}

template <bool kTransposed>
void MultiplyPanels(const GemmProblem& problem, const GemmSums& sums, Range m, Range n, Range k,
                    const float* packed, float* panel) {
  for (int64_t i = m.begin; i < m.end; i += kRows) {
    const Range rows = {i, std::min(m.end, i + kRows)};
    kTransposed ? PackColumns(problem, rows, k, panel) : PackRows(problem, rows, k, panel);
    const KernelFunction kernel = KernelFor<kTransposed>(rows.size());
    const NextPanel<float> next(problem, m, k, rows.end, kRows, CutCount(n.size(), kColumns), panel);
    const float* b = packed;
    for (int64_t j = n.begin; j < n.end; j += kColumns, b += k.size() * kColumns) {
      const LinesAhead ahead = next.OfCall((j - n.begin) / kColumns);
      if (n.end - j >= kColumns) {
        kernel(panel, b, k.size(), sums.At(i, j), sums.stride, sums.add, ahead);
      } else {
        EdgeTile(kernel, panel, b, k.size(), sums, rows, {j, n.end}, ahead);
      }
    }
  }
}

void Multiply(const GemmProblem& problem, const GemmSums& sums, Range m, Range n, Range k,
              const float* packed, float* scratch) {
  problem.trans_a ? MultiplyPanels<true>(problem, sums, m, n, k, packed, scratch)
                  : MultiplyPanels<false>(problem, sums, m, n, k, packed, scratch);
}

// packed[k][columns] of one panel from a stored [K,N].
void PackWholePanel(const GemmProblem& problem, Range k, int64_t column, float* HWY_RESTRICT packed) {
  const Full d;
  const float* from = problem.B<float>(k.begin, column);
  for (int64_t i = 0; i < k.size(); ++i, from += problem.ldb, packed += kColumns) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) hn::Store(hn::LoadU(d, from + v * kLanes), d, packed + v * kLanes);
  }
}

// The same for the last columns; those past the end become 0.
void PackEdgePanel(const GemmProblem& problem, Range k, Range n, float* HWY_RESTRICT packed) {
  for (int64_t i = k.begin; i < k.end; ++i, packed += kColumns) {
    std::memcpy(packed, problem.B<float>(i, n.begin), n.size() * sizeof(float));
    std::memset(packed + n.size(), 0, (kColumns - n.size()) * sizeof(float));
  }
}

void PackPanel(const GemmProblem& problem, Range k, Range n, float* packed) {
  n.size() == kColumns ? PackWholePanel(problem, k, n.begin, packed) : PackEdgePanel(problem, k, n, packed);
}

// Rows from[0..3] of stride `from_stride` become columns of `to`.
HWY_INLINE void Transpose4x4(const float* from, int64_t from_stride, float* to, int64_t to_stride) {
  const Quad d;
  const hn::Repartition<uint64_t, Quad> pairs;
  const auto r0 = hn::LoadU(d, from), r1 = hn::LoadU(d, from + from_stride);
  const auto r2 = hn::LoadU(d, from + 2 * from_stride), r3 = hn::LoadU(d, from + 3 * from_stride);
  const auto low01 = hn::BitCast(pairs, hn::InterleaveLower(d, r0, r1));
  const auto low23 = hn::BitCast(pairs, hn::InterleaveLower(d, r2, r3));
  const auto high01 = hn::BitCast(pairs, hn::InterleaveUpper(d, r0, r1));
  const auto high23 = hn::BitCast(pairs, hn::InterleaveUpper(d, r2, r3));
  hn::StoreU(hn::BitCast(d, hn::InterleaveLower(pairs, low01, low23)), d, to);
  hn::StoreU(hn::BitCast(d, hn::InterleaveUpper(pairs, low01, low23)), d, to + to_stride);
  hn::StoreU(hn::BitCast(d, hn::InterleaveLower(pairs, high01, high23)), d, to + 2 * to_stride);
  hn::StoreU(hn::BitCast(d, hn::InterleaveUpper(pairs, high01, high23)), d, to + 3 * to_stride);
}

// The same from a stored [N,K].
void PackTransposedPanel(const GemmProblem& problem, Range k, Range n, float* HWY_RESTRICT packed) {
  const int64_t quad_n = n.size() / 4 * 4, quad_k = k.size() / 4 * 4;
  for (int64_t j = 0; j < quad_n; j += 4) {
    const float* from = problem.B<float>(k.begin, n.begin + j);
    for (int64_t i = 0; i < quad_k; i += 4)
      Transpose4x4(from + i, problem.ldb, packed + i * kColumns + j, kColumns);
    for (int64_t i = quad_k; i < k.size(); ++i) {
      for (int64_t jj = 0; jj < 4; ++jj) packed[i * kColumns + j + jj] = from[jj * problem.ldb + i];
    }
  }
  for (int64_t i = 0; i < k.size(); ++i) {
    for (int64_t j = quad_n; j < kColumns; ++j) {
      packed[i * kColumns + j] = j < n.size() ? *problem.B<float>(k.begin + i, n.begin + j) : 0.0f;
    }
  }
}

void PackB(const GemmProblem& problem, Range k, Range n, float* packed) {
  for (int64_t j = n.begin; j < n.end; j += kColumns, packed += k.size() * kColumns) {
    const Range columns = {j, std::min(n.end, j + kColumns)};
    problem.trans_b ? PackTransposedPanel(problem, k, columns, packed)
                    : PackPanel(problem, k, columns, packed);
  }
}

int64_t PanelRows() { return kRows; }
int64_t PanelColumns() { return kColumns; }
int64_t ScratchSize() { return std::max<int64_t>(kRows, kLanes) * kGemmBlockK; }

}  // namespace HWY_NAMESPACE
}  // namespace shoal::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace shoal::kernels {

HWY_EXPORT(Multiply);
HWY_EXPORT(PackB);
HWY_EXPORT(PanelRows);
HWY_EXPORT(PanelColumns);
HWY_EXPORT(ScratchSize);

void OwnPackB(const GemmProblem& problem, Range k, Range n, void* packed) {
  HWY_DYNAMIC_DISPATCH(PackB)(problem, k, n, static_cast<float*>(packed));
}

void OwnMultiply(const GemmProblem& problem, const GemmSums& sums, Range m, Range n, Range k,
                 const void* packed, void* scratch) {
  HWY_DYNAMIC_DISPATCH(Multiply)
  (problem, sums, m, n, k, static_cast<const float*>(packed), static_cast<float*>(scratch));
  if (k.end == problem.k) FinishTile(PartOf(problem, m, n), sums.At(m.begin, n.begin), sums.stride);
}

GemmKernel F32Kernel() {
  GemmKernel kernel;
  kernel.panel_rows = HWY_DYNAMIC_DISPATCH(PanelRows)();
  kernel.panel_columns = HWY_DYNAMIC_DISPATCH(PanelColumns)();
  kernel.packed_element_bytes = sizeof(float);
  kernel.scratch_bytes = HWY_DYNAMIC_DISPATCH(ScratchSize)() * static_cast<int64_t>(sizeof(float));
  kernel.pack_b = &OwnPackB;
  kernel.multiply = &OwnMultiply;
  return kernel;
}

}  // namespace shoal::kernels
#endif  // HWY_ONCE
