// The bf16 product of the class "amx-bf16" on a tile unit: AMX, or a model of it in tests. Internal to the
// GEMM.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "common/base/thread_pool.h"
#include "kernels/cpu/gemm/flush_denormals.h"
#include "kernels/cpu/gemm/gemm_bf16_pack.h"
#include "kernels/cpu/gemm/gemm_finish.h"
#include "kernels/cpu/gemm/gemm_own.h"
#include "kernels/cpu/gemm/gemm_prefetch.h"

namespace shoal::kernels {

// Rows and columns of the sums that a unit holds: 2 x 2 tiles of 16 x 16.
inline constexpr int64_t kAmxSide = 32;
// Cache lines of the next panel of A that are prefetched in each step of K.
inline constexpr int64_t kAmxLinesAStep = 3;

// The product on `Tiles`, a class with
//   void ZeroSums();
//   void LoadSums(const float* sums, int64_t stride);  // [kAmxSide, kAmxSide], rows `stride` elements apart
//   void StoreSums(float* sums, int64_t stride);
//   void Step(const Bf16* a, const Bf16* b);
// Step adds the product of kAmxSide rows of A, kGemmBlockK elements apart, and kGemmStepK / 2 pairs of k of a
// packed panel of B, as the definition says. Sums are undefined until they are zeroed or loaded.
template <class Tiles>
class AmxProduct {
 public:
  static GemmKernel Kernel() {
    GemmKernel kernel;
    kernel.panel_rows = kAmxSide;
    kernel.panel_columns = kBf16PanelColumns;
    kernel.packed_element_bytes = sizeof(Bf16);
    kernel.k_unit = kGemmStepK;
    kernel.scratch_bytes = kAmxSide * kGemmBlockK * static_cast<int64_t>(sizeof(Bf16));
    kernel.pack_b = &PackB;
    kernel.multiply = &Multiply;
    return kernel;
  }

 private:
  static_assert(kAmxSide == kBf16PanelColumns && kGemmBlockK % kGemmStepK == 0);

  static void PackB(const GemmProblem& problem, Range k, Range n, void* packed) {
    PackBf16B(problem, k, n, kGemmStepK, static_cast<Bf16*>(packed));
  }

  static void Tile(Tiles& tiles, const Bf16* a, const Bf16* b, int64_t steps, float* sums, int64_t stride,
                   bool add, LinesAhead ahead) {
    if (add) {
      tiles.LoadSums(sums, stride);
    } else {
      tiles.ZeroSums();
    }
    for (int64_t step = 0; step < steps; ++step) {
      for (int i = 0; i < kAmxLinesAStep; ++i) ahead.BringNext();
      tiles.Step(a + step * kGemmStepK, b + step * (kGemmStepK / 2 * kBf16PairColumns));
    }
    tiles.StoreSums(sums, stride);
  }

  // A tile at an edge of C: computed as a full tile, of which the rest is discarded.
  static void EdgeTile(Tiles& tiles, const Bf16* a, const Bf16* b, int64_t steps, const GemmSums& sums,
                       Range m, Range n, const LinesAhead& ahead) {
    alignas(64) float edge[kAmxSide * kAmxSide] = {};
    for (int64_t i = 0; sums.add && i < m.size(); ++i)
      std::memcpy(edge + i * kAmxSide, sums.At(m.begin + i, n.begin), n.size() * sizeof(float));
    Tile(tiles, a, b, steps, edge, kAmxSide, sums.add, ahead);
    for (int64_t i = 0; i < m.size(); ++i)
      std::memcpy(sums.At(m.begin + i, n.begin), edge + i * kAmxSide, n.size() * sizeof(float));
  }

  static void Multiply(const GemmProblem& problem, const GemmSums& sums, Range m, Range n, Range k,
                       const void* packed, void* scratch) {
    const FlushDenormals flush;  // for the bias; tiles always do
    Tiles tiles;
    auto* panel = static_cast<Bf16*>(scratch);
    const int64_t steps = CutCount(k.size(), kGemmStepK), calls = CutCount(n.size(), kAmxSide);
    for (int64_t i = m.begin; i < m.end; i += kAmxSide) {
      const Range rows = {i, std::min(m.end, i + kAmxSide)};
      problem.trans_a ? PackBf16Columns(problem, rows, k, panel) : PackBf16Rows(problem, rows, k, panel);
      const NextPanel<Bf16> next(problem, m, k, rows.end, kAmxSide, calls, panel);
      const auto* b = static_cast<const Bf16*>(packed);
      for (int64_t j = n.begin; j < n.end; j += kAmxSide, b += steps * (kGemmStepK / 2 * kBf16PairColumns)) {
        const Range columns = {j, std::min(n.end, j + kAmxSide)};
        const LinesAhead ahead = next.OfCall((j - n.begin) / kAmxSide);
        if (rows.size() == kAmxSide && columns.size() == kAmxSide) {
          Tile(tiles, panel, b, steps, sums.At(i, j), sums.stride, sums.add, ahead);
        } else {
          EdgeTile(tiles, panel, b, steps, sums, rows, columns, ahead);
        }
      }
    }
    if (k.end == problem.k) FinishTile(PartOf(problem, m, n), sums.At(m.begin, n.begin), sums.stride);
  }
};

}  // namespace shoal::kernels
