// How the row kernels cut their work into items: by shape alone.
#pragma once

#include <algorithm>
#include <cstdint>
#include <initializer_list>

#include "absl/functional/function_ref.h"
#include "kernels/cpu/cpu_device.h"
#include "kernels/tensor.h"

namespace shoal::kernels {

// Row n of a matrix, or null when there is no tensor. T is the type of its elements.
template <typename T, typename Void>
auto RowOf(const BasicTensor<Void>& x, int64_t n) -> typename BasicTensor<Void>::template Element<T>* {
  return x.present() ? x.template as<T>() + n * x.row_stride() : nullptr;
}

inline float ValueOf(float x) { return x; }
inline float ValueOf(Bf16 x) { return ToFloat(x); }
inline void Assign(float x, float& to) { to = x; }
inline void Assign(float x, Bf16& to) { to = ToBf16(x); }

// A vector is one row.
inline int64_t RowsOf(const ConstTensor& x) { return x.rank() == 2 ? x.dim(0) : 1; }
inline int64_t ColumnsOf(const ConstTensor& x) { return x.rank() == 2 ? x.dim(1) : x.dim(0); }

inline bool SameShape(const ConstTensor& a, const ConstTensor& b) {
  return a.rank() == b.rank() && RowsOf(a) == RowsOf(b) && ColumnsOf(a) == ColumnsOf(b);
}

// The bytes that a kernel moves when it visits each of these once.
inline OpWork MovedBytes(std::initializer_list<ConstTensor> tensors) {
  OpWork work;
  for (const ConstTensor& x : tensors) {
    if (x.present()) work.bytes += static_cast<double>(x.size_bytes());
  }
  return work;
}

// A part of a matrix.
struct Piece {
  int64_t row_begin = 0;
  int64_t row_end = 0;
  int64_t column_begin = 0;
  int64_t column_end = 0;

  int64_t columns() const { return column_end - column_begin; }
};

// Runs fn over pieces that cover a matrix of this shape: whole rows where they are short.
inline void ForPieces(CpuDevice& device, int64_t rows, int64_t columns,
                      absl::FunctionRef<void(const Piece&)> fn) {
  // 64 KiB: large compared with the cost of an item, small compared with the L2 cache.
  constexpr int64_t kElements = 16384;
  if (rows == 0 || columns == 0) return;
  const int64_t piece_rows = std::max<int64_t>(1, kElements / columns);
  const int64_t across = CutCount(columns, kElements);
  device.pool().ParallelFor(CutCount(rows, piece_rows) * across, [&](int64_t item, int) {
    const int64_t row = item / across * piece_rows, column = item % across * kElements;
    fn({row, std::min(rows, row + piece_rows), column, std::min(columns, column + kElements)});
  });
}

// Runs fn(begin, end) over rows of `columns` elements each.
inline void ForRows(CpuDevice& device, int64_t rows, int64_t columns,
                    absl::FunctionRef<void(int64_t begin, int64_t end)> fn) {
  const int64_t grain = std::max<int64_t>(1, 16384 / std::max<int64_t>(1, columns));
  device.pool().ParallelFor(CutCount(rows, grain),
                            [&](int64_t item, int) { fn(item * grain, std::min(rows, (item + 1) * grain)); });
}

}  // namespace shoal::kernels
