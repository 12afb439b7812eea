#include "kernels/gemm_own_driver.h"

#include <algorithm>

#include "kernels/gemm_own.h"

namespace shoal {
namespace {

// Packed B of one pass: at most this many elements (16 MiB), so that it stays in a shared cache of ordinary
// size.
constexpr int64_t kMostPacked = 4 << 20;
// Columns whose packed block of K (384 x 384 f32, 576 KiB) stays in L2 while rows pass by.
constexpr int64_t kCacheColumns = 384;
// Columns that one item packs.
constexpr int64_t kPackColumns = 128;
// Enough items that threads end at about the same time.
constexpr int64_t kItems = 24;

int64_t RoundUp(int64_t n, int64_t unit) { return CutCount(n, unit) * unit; }

// One pass over C: some columns, some whole blocks of K.
struct Pass {
  Range n;
  Range k;
  int64_t packed_columns = 0;  // of n, rounded up to panels
  float* packed = nullptr;

  int64_t blocks() const { return CutCount(k.size(), kGemmBlockK); }
  Range Block(int64_t index) const {
    const Range block = Piece(index, kGemmBlockK, k.size());
    return {k.begin + block.begin, k.begin + block.end};
  }
  // Where (k, column) begins: blocks lie one after the other, panels inside a block too.
  float* PackedAt(Range block, int64_t column) const {
    return packed + (block.begin - k.begin) * packed_columns + (column - n.begin) * block.size();
  }
};

// How many columns and how much of K one pass takes.
struct PassShape {
  int64_t columns = 0;
  int64_t k = 0;
};

PassShape ShapeOfPasses(const GemmProblem& problem) {
  const int64_t most_columns = kMostPacked / kGemmBlockK / kCacheColumns * kCacheColumns;
  PassShape shape;
  shape.columns = std::min(RoundUp(problem.n, OwnPanelColumns()), most_columns);
  const int64_t blocks = std::max<int64_t>(1, kMostPacked / (kGemmBlockK * shape.columns));
  shape.k = std::min(problem.k, blocks * kGemmBlockK);
  return shape;
}

void PackPass(Device& device, const GemmProblem& problem, const Pass& pass) {
  const int64_t pieces = CutCount(pass.n.size(), kPackColumns);
  device.pool().ParallelFor(pieces * pass.blocks(), [&](int64_t item, int) {
    const Range block = pass.Block(item / pieces);
    const Range piece = Piece(item % pieces, kPackColumns, pass.n.size());
    const Range columns = {pass.n.begin + piece.begin, pass.n.begin + piece.end};
    OwnPackB(problem, block, columns, pass.PackedAt(block, columns.begin));
  });
}

// Rows [m] and columns [n] of C, columns a cache's worth at a time.
void MultiplyTile(const GemmProblem& problem, const Pass& pass, Range m, Range n, float* scratch) {
  for (int64_t j = n.begin; j < n.end; j += kCacheColumns) {
    const Range columns = {j, std::min(n.end, j + kCacheColumns)};
    for (int64_t i = 0; i < pass.blocks(); ++i) {
      const Range block = pass.Block(i);
      const bool add = problem.accumulate || block.begin > 0;
      OwnMultiply(problem, m, columns, block, pass.PackedAt(block, j), add, scratch);
    }
  }
}

int64_t TileRows(const GemmProblem& problem, int64_t column_tiles) {
  const int64_t panel = OwnPanelRows();
  const int64_t rows = RoundUp(CutCount(problem.m * column_tiles, kItems), panel);
  return std::clamp(rows, 2 * panel, 8 * panel);
}

void RunPass(Device& device, const GemmProblem& problem, const Pass& pass, int64_t tile_columns,
             absl::FunctionRef<void(const GemmTile&)> finish) {
  PackPass(device, problem, pass);
  const int64_t column_tiles = CutCount(pass.n.size(), tile_columns);
  const int64_t tile_rows = TileRows(problem, column_tiles);
  device.pool().ParallelFor(CutCount(problem.m, tile_rows) * column_tiles, [&](int64_t item, int thread) {
    const Range m = Piece(item / column_tiles, tile_rows, problem.m);
    const Range piece = Piece(item % column_tiles, tile_columns, pass.n.size());
    const Range n = {pass.n.begin + piece.begin, pass.n.begin + piece.end};
    auto* scratch = reinterpret_cast<float*>(device.GemmScratch(thread, OwnScratchSize() * sizeof(float)));
    MultiplyTile(problem, pass, m, n, scratch);
    if (pass.k.end == problem.k) finish({m.begin, m.end, n.begin, n.end, thread});
  });
}

}  // namespace

void OwnGemm(Device& device, const GemmProblem& problem, bool whole_rows,
             absl::FunctionRef<void(const GemmTile&)> finish) {
  const PassShape shape = ShapeOfPasses(problem);
  const int64_t tile_columns = whole_rows ? shape.columns : kCacheColumns;
  auto* packed = reinterpret_cast<float*>(device.SharedGemmScratch(shape.columns * shape.k * sizeof(float)));
  for (int64_t j = 0; j < problem.n; j += shape.columns) {
    for (int64_t k = 0; k < problem.k; k += shape.k) {
      Pass pass;
      pass.n = {j, std::min(problem.n, j + shape.columns)};
      pass.k = {k, std::min(problem.k, k + shape.k)};
      pass.packed_columns = RoundUp(pass.n.size(), OwnPanelColumns());
      pass.packed = packed;
      RunPass(device, problem, pass, tile_columns, finish);
    }
  }
}

void OwnGemmOnThread(Device& device, int thread, const GemmProblem& problem) {
  const int64_t columns = std::min(RoundUp(problem.n, OwnPanelColumns()), kCacheColumns);
  const int64_t packed_size = columns * std::min(problem.k, kGemmBlockK);
  auto* packed =
      reinterpret_cast<float*>(device.GemmScratch(thread, (packed_size + OwnScratchSize()) * sizeof(float)));
  for (int64_t j = 0; j < problem.n; j += columns) {
    const Range n = {j, std::min(problem.n, j + columns)};
    for (int64_t k = 0; k < problem.k; k += kGemmBlockK) {
      const Range block = {k, std::min(problem.k, k + kGemmBlockK)};
      OwnPackB(problem, block, n, packed);
      OwnMultiply(problem, {0, problem.m}, n, block, packed, problem.accumulate || k > 0,
                  packed + packed_size);
    }
  }
}

}  // namespace shoal
