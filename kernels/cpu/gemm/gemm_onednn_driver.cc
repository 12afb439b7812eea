#include "kernels/cpu/gemm/gemm_onednn_driver.h"

#include <algorithm>

#include "kernels/cpu/gemm/gemm_finish.h"
#include "kernels/cpu/gemm/gemm_own_driver.h"
#include "kernels/cpu/gemm/onednn_gemm.h"

namespace shoal::kernels {
namespace {

// Rows and columns per call: enough to hide oneDNN's own packing of B, few enough that threads finish at
// about the same time.
constexpr int64_t kTileRows = 256;
constexpr int64_t kTileColumns = 768;
// The minimum for a call whose sums are as defined.
constexpr int64_t kMinRows = 16;
constexpr int64_t kMinColumns = 16;

MatmulShape ShapeOf(const GemmProblem& problem) {
  MatmulShape shape;
  shape.m = problem.m;
  shape.n = problem.n;
  shape.lda = problem.lda;
  shape.ldb = problem.ldb;
  shape.ldc = problem.ldc;
  shape.trans_a = problem.trans_a;
  shape.trans_b = problem.trans_b;
  return shape;
}

void MultiplyByBlocks(OnednnGemm& onednn, int thread, const GemmProblem& problem) {
  MatmulShape shape = ShapeOf(problem);
  for (int64_t k = 0; k < problem.k; k += kGemmBlockK) {
    shape.k = std::min(problem.k - k, kGemmBlockK);
    shape.add = problem.accumulate || k > 0;
    onednn.Multiply(thread, shape, problem.A<float>(0, k), problem.B<float>(k, 0), problem.c);
  }
}

}  // namespace

void OnednnGemmTile(GemmEngine& engine, int thread, const GemmProblem& problem, Range m, Range n) {
  GemmProblem part = PartOf(problem, m, n);
  part.bias = nullptr;
  if (m.size() < kMinRows || n.size() < kMinColumns) {
    OwnGemmOnThread(engine, thread, part);
  } else {
    MultiplyByBlocks(engine.onednn(), thread, part);
  }
}

void OnednnGemmF32(GemmEngine& engine, const GemmProblem& problem, bool whole_rows,
                   absl::FunctionRef<void(const GemmTile&)> epilogue) {
  const int64_t tile_columns = whole_rows ? problem.n : std::min(problem.n, kTileColumns);
  const int64_t column_tiles = CutCount(problem.n, tile_columns);
  engine.onednn();  // created here, outside of any item
  engine.pool().ParallelFor(CutCount(problem.m, kTileRows) * column_tiles, [&](int64_t item, int thread) {
    const Range m = Piece(item / column_tiles, kTileRows, problem.m);
    const Range n = Piece(item % column_tiles, tile_columns, problem.n);
    OnednnGemmTile(engine, thread, problem, m, n);
    const GemmProblem part = PartOf(problem, m, n);
    FinishTile(part, static_cast<const float*>(part.c), part.ldc);
    epilogue({m.begin, m.end, n.begin, n.end, thread});
  });
}

}  // namespace shoal::kernels
