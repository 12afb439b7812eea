#include "kernels/cpu/gemm/gemm_own_driver.h"

#include <algorithm>

#include "kernels/cpu/gemm/gemm_bf16_amx.h"

namespace shoal::kernels {
namespace {

// Packed elements of B per pass, at most (16 MiB of f32), so that they stay in a shared cache of ordinary
// size.
constexpr int64_t kMaxPacked = 4 << 20;
// Columns whose packed block of K (384 x 384 f32, 576 KiB) stays in L2 while rows go through.
constexpr int64_t kCacheColumns = 384;
// Columns that one item packs.
constexpr int64_t kPackColumns = 128;
// Enough items, each small enough, that threads finish at about the same time; each multiplies several panels
// of A by B's block while that is in L2.
constexpr int64_t kItems = 28;
constexpr int64_t kMinPanels = 2;
constexpr int64_t kMaxPanels = 5;

int64_t RoundUp(int64_t n, int64_t unit) { return CutCount(n, unit) * unit; }

// One pass over C: a range of columns and of whole blocks of K.
struct Pass {
  const GemmKernel& kernel;
  Range n;
  Range k;
  std::byte* packed = nullptr;

  int64_t blocks() const { return CutCount(k.size(), kGemmBlockK); }
  Range Block(int64_t index) const {
    const Range block = Piece(index, kGemmBlockK, k.size());
    return {k.begin + block.begin, k.begin + block.end};
  }
  // Where (k, column) begins: blocks follow one another, and so do the panels inside a block.
  std::byte* PackedAt(Range block, int64_t column) const {
    const int64_t elements = (block.begin - k.begin) * RoundUp(n.size(), kernel.panel_columns) +
                             (column - n.begin) * RoundUp(block.size(), kernel.k_unit);
    return packed + elements * kernel.packed_element_bytes;
  }
  int64_t packed_bytes() const {
    return RoundUp(n.size(), kernel.panel_columns) * RoundUp(k.size(), kernel.k_unit) *
           kernel.packed_element_bytes;
  }
};

// How many columns and how much of K one pass covers.
struct PassShape {
  int64_t columns = 0;
  int64_t k = 0;
};

PassShape ShapeOfPasses(const GemmProblem& problem, const GemmKernel& kernel, bool whole_rows) {
  PassShape shape;
  const bool whole_k = problem.c_type != DType::kF32;  // C can't hold the sums between passes
  const int64_t least_k = whole_k ? problem.k : std::min(problem.k, kGemmBlockK);
  const int64_t most_columns = std::max(kCacheColumns, kMaxPacked / least_k / kCacheColumns * kCacheColumns);
  shape.columns = RoundUp(problem.n, kernel.panel_columns);
  if (!whole_rows) shape.columns = std::min(shape.columns, most_columns);
  const int64_t blocks = std::max<int64_t>(1, kMaxPacked / (kGemmBlockK * shape.columns));
  shape.k = whole_k ? problem.k : std::min(problem.k, blocks * kGemmBlockK);
  return shape;
}

void PackPass(GemmEngine& engine, const GemmProblem& problem, const Pass& pass) {
  const int64_t pieces = CutCount(pass.n.size(), kPackColumns);
  engine.pool().ParallelFor(pieces * pass.blocks(), [&](int64_t item, int) {
    const Range block = pass.Block(item / pieces);
    const Range piece = Piece(item % pieces, kPackColumns, pass.n.size());
    const Range columns = {pass.n.begin + piece.begin, pass.n.begin + piece.end};
    pass.kernel.pack_b(problem, block, columns, pass.PackedAt(block, columns.begin));
  });
}

// Where the sums of a part are: in C itself, or in `memory` when C has no room for f32.
GemmSums SumsOf(const GemmProblem& part, std::byte* memory) {
  if (part.c_type == DType::kF32) return {static_cast<float*>(part.c), part.ldc};
  return {reinterpret_cast<float*>(memory), part.n};
}

int64_t SumsBytes(const GemmProblem& problem, int64_t rows, int64_t columns) {
  return problem.c_type == DType::kF32 ? 0 : rows * columns * static_cast<int64_t>(sizeof(float));
}

// Computes rows [m] and columns [n] of C, as many columns at a time as fit in the cache. `memory`: the
// kernel's scratch, then room for sums.
void MultiplyTile(const GemmProblem& problem, const Pass& pass, Range m, Range n, std::byte* memory) {
  const GemmProblem part = PartOf(problem, m, n);
  GemmSums sums = SumsOf(part, memory + pass.kernel.scratch_bytes);
  for (int64_t j = 0; j < part.n; j += kCacheColumns) {
    const Range columns = {j, std::min(part.n, j + kCacheColumns)};
    for (int64_t i = 0; i < pass.blocks(); ++i) {
      const Range block = pass.Block(i);
      sums.add = problem.accumulate || block.begin > 0;
      pass.kernel.multiply(part, sums, {0, part.m}, columns, block, pass.PackedAt(block, n.begin + j),
                           memory);
    }
  }
}

int64_t TileRows(const GemmProblem& problem, int64_t panel_rows, int64_t column_tiles) {
  const int64_t rows = RoundUp(CutCount(problem.m * column_tiles, kItems), panel_rows);
  return std::clamp(rows, kMinPanels * panel_rows, kMaxPanels * panel_rows);
}

void RunPass(GemmEngine& engine, const GemmProblem& problem, const Pass& pass, int64_t tile_columns,
             absl::FunctionRef<void(const GemmTile&)> epilogue) {
  PackPass(engine, problem, pass);
  const int64_t column_tiles = CutCount(pass.n.size(), tile_columns);
  const int64_t tile_rows = TileRows(problem, pass.kernel.panel_rows, column_tiles);
  const int64_t memory_bytes = pass.kernel.scratch_bytes + SumsBytes(problem, tile_rows, tile_columns);
  engine.pool().ParallelFor(CutCount(problem.m, tile_rows) * column_tiles, [&](int64_t item, int thread) {
    const Range m = Piece(item / column_tiles, tile_rows, problem.m);
    const Range piece = Piece(item % column_tiles, tile_columns, pass.n.size());
    const Range n = {pass.n.begin + piece.begin, pass.n.begin + piece.end};
    MultiplyTile(problem, pass, m, n, engine.scratch().OfThread(thread, memory_bytes));
    if (pass.k.end == problem.k) epilogue({m.begin, m.end, n.begin, n.end, thread});
  });
}

GemmKernel KernelOf(const GemmEngine& engine, const GemmProblem& problem) {
  if (problem.a_type == DType::kF32) return F32Kernel();
  return problem.bf16_class == Bf16Class::kAmx ? AmxBf16Kernel() : Bf16Kernel(engine.isa());
}

}  // namespace

void OwnGemm(GemmEngine& engine, const GemmProblem& problem, bool whole_rows,
             absl::FunctionRef<void(const GemmTile&)> epilogue) {
  OwnGemm(engine, KernelOf(engine, problem), problem, whole_rows, epilogue);
}

void OwnGemm(GemmEngine& engine, const GemmKernel& kernel, const GemmProblem& problem, bool whole_rows,
             absl::FunctionRef<void(const GemmTile&)> epilogue) {
  const PassShape shape = ShapeOfPasses(problem, kernel, whole_rows);
  const int64_t tile_columns = whole_rows ? shape.columns : kCacheColumns;
  for (int64_t j = 0; j < problem.n; j += shape.columns) {
    for (int64_t k = 0; k < problem.k; k += shape.k) {
      Pass pass = {
          kernel, {j, std::min(problem.n, j + shape.columns)}, {k, std::min(problem.k, k + shape.k)}};
      pass.packed = engine.scratch().Shared(pass.packed_bytes());
      RunPass(engine, problem, pass, tile_columns, epilogue);
    }
  }
}

void OwnGemmOnThread(GemmEngine& engine, int thread, const GemmProblem& problem) {
  const GemmKernel kernel = KernelOf(engine, problem);
  const int64_t columns = std::min(RoundUp(problem.n, kernel.panel_columns), kCacheColumns);
  const int64_t sums_bytes = SumsBytes(problem, problem.m, columns);
  for (int64_t j = 0; j < problem.n; j += columns) {
    const Range n = {j, std::min(problem.n, j + columns)};
    const GemmProblem part = PartOf(problem, {0, problem.m}, n);
    Pass pass = {kernel, {0, n.size()}, {0, std::min(problem.k, kGemmBlockK)}};
    std::byte* memory =
        engine.scratch().OfThread(thread, kernel.scratch_bytes + sums_bytes + pass.packed_bytes());
    GemmSums sums = SumsOf(part, memory + kernel.scratch_bytes);
    std::byte* packed = memory + kernel.scratch_bytes + sums_bytes;
    for (int64_t k = 0; k < problem.k; k += kGemmBlockK) {
      const Range block = {k, std::min(problem.k, k + kGemmBlockK)};
      sums.add = problem.accumulate || k > 0;
      kernel.pack_b(part, block, pass.n, packed);
      kernel.multiply(part, sums, {0, part.m}, pass.n, block, packed, memory);
    }
  }
}

}  // namespace shoal::kernels
