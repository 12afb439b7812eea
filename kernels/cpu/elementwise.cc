#include "kernels/elementwise.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "common/base/status.h"
#include "kernels/cpu/row_loops.h"
#include "kernels/cpu/token_sums.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/elementwise.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
#include "kernels/cpu/row-inl.h"

HWY_BEFORE_NAMESPACE();
namespace shoal::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// to[i] = fn(i, from[i]) for n elements.
template <class From, class To, class Fn>
HWY_INLINE void MapRow(int64_t n, const From* from, To* to, const Fn& fn) {
  ForRow(n, [&](int64_t i, int64_t, auto lanes)
                HWY_ATTR { lanes.Store(fn(i, lanes.Load(from + i), lanes), to + i); });
}

// Calls fn with a null pointer of the type's elements.
template <class Fn>
void WithType(DType type, const Fn& fn) {
  type == DType::kF32 ? fn(static_cast<float*>(nullptr)) : fn(static_cast<Bf16*>(nullptr));
}

template <class T>
using TypeOf = std::remove_pointer_t<T>;

void AddPiece(const ConstTensor& a, const ConstTensor& b, const Tensor& y, const Piece& piece) {
  WithType(a.type(), [&](auto* type) {
    using T = TypeOf<decltype(type)>;
    for (int64_t n = piece.row_begin; n < piece.row_end; ++n) {
      const T* other = RowOf<T>(b, n) + piece.column_begin;
      MapRow(piece.columns(), RowOf<T>(a, n) + piece.column_begin, RowOf<T>(y, n) + piece.column_begin,
             [&](int64_t i, RowVec v, auto lanes) HWY_ATTR { return hn::Add(v, lanes.Load(other + i)); });
    }
  });
}

void ScalePiece(const ConstTensor& x, float factor, const Tensor& y, const Piece& piece) {
  WithType(x.type(), [&](auto* type) {
    using T = TypeOf<decltype(type)>;
    for (int64_t n = piece.row_begin; n < piece.row_end; ++n) {
      MapRow(piece.columns(), RowOf<T>(x, n) + piece.column_begin, RowOf<T>(y, n) + piece.column_begin,
             [&](int64_t, RowVec v, auto) HWY_ATTR { return hn::Mul(v, RowSet(factor)); });
    }
  });
}

void ConvertPiece(const ConstTensor& x, const Tensor& y, const Piece& piece) {
  WithType(x.type(), [&](auto* from) {
    WithType(y.type(), [&](auto* to) {
      using From = TypeOf<decltype(from)>;
      using To = TypeOf<decltype(to)>;
      for (int64_t n = piece.row_begin; n < piece.row_end; ++n) {
        MapRow(piece.columns(), RowOf<From>(x, n) + piece.column_begin, RowOf<To>(y, n) + piece.column_begin,
               [](int64_t, RowVec v, auto) HWY_ATTR { return v; });
      }
    });
  });
}

// y = scale x, for one row of one type.
void ScaleRow(const ConstTensor& x, int64_t from, float scale, const Tensor& y, int64_t to) {
  WithType(x.type(), [&](auto* type) {
    using T = TypeOf<decltype(type)>;
    MapRow(x.dim(1), RowOf<T>(x, from), RowOf<T>(y, to),
           [&](int64_t, RowVec v, auto) HWY_ATTR { return hn::Mul(v, RowSet(scale)); });
  });
}

// sums[c] = sum of x[n, c] over rows [begin, end).
void SumRows(const ConstTensor& x, int64_t begin, int64_t end, float* sums) {
  const int64_t columns = x.dim(1);
  std::fill_n(sums, columns, 0.0f);
  WithType(x.type(), [&](auto* type) {
    using T = TypeOf<decltype(type)>;
    for (int64_t n = begin; n < end; ++n) {
      const T* row = RowOf<T>(x, n);
      MapRow(columns, sums, sums,
             [&](int64_t i, RowVec sum, auto lanes) HWY_ATTR { return hn::Add(sum, lanes.Load(row + i)); });
    }
  });
}

// y = scale * the sum over blocks of rows [begin, end) of x; sums and total are scratch memory of [C].
void PoolRowsOf(const ConstTensor& x, int64_t begin, int64_t end, float scale, float* sums, float* total,
                const Tensor& y) {
  const int64_t columns = x.dim(1);
  std::fill_n(total, columns, 0.0f);
  for (int64_t first = begin; first < end; first += kTokenBlock) {
    SumRows(x, first, std::min(end, first + kTokenBlock), sums);
    MapRow(columns, total, total,
           [&](int64_t i, RowVec sum, auto lanes) HWY_ATTR { return hn::Add(sum, lanes.Load(sums + i)); });
  }
  WithType(x.type(), [&](auto* type) {
    using T = TypeOf<decltype(type)>;
    MapRow(columns, total, y.as<T>(),
           [&](int64_t, RowVec sum, auto) HWY_ATTR { return hn::Mul(sum, RowSet(scale)); });
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace shoal::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace shoal::kernels {
namespace {

HWY_EXPORT(AddPiece);
HWY_EXPORT(ScalePiece);
HWY_EXPORT(ConvertPiece);
HWY_EXPORT(ScaleRow);
HWY_EXPORT(SumRows);
HWY_EXPORT(PoolRowsOf);

bool IsFloat(DType type) { return type == DType::kF32 || type == DType::kBf16; }

bool Alike(const ConstTensor& a, const ConstTensor& b) {
  return IsFloat(a.type()) && a.type() == b.type() && SameShape(a, b);
}

void CheckPooled(const ConstTensor& rows, const ConstTensor& offsets, const ConstTensor& pooled) {
  SHOAL_CHECK(rows.rank() == 2 && pooled.rank() == 2 && rows.dim(1) == pooled.dim(1));
  SHOAL_CHECK(IsFloat(rows.type()) && rows.type() == pooled.type());
  SHOAL_CHECK(offsets.rank() == 1 && offsets.dim(0) == pooled.dim(0) + 1);
  const int32_t* offset = offsets.i32();
  for (int64_t b = 0; b < pooled.dim(0); ++b) SHOAL_CHECK(offset[b] < offset[b + 1]);
  SHOAL_CHECK(offset[0] == 0 && offset[pooled.dim(0)] == rows.dim(0));
}

float ScaleOf(RowDivisor divisor, int64_t tokens) {
  const auto count = static_cast<float>(tokens);
  return 1.0f / (divisor == RowDivisor::kTokens ? count : std::sqrt(count));
}

}  // namespace

void Add(Device& device, const ConstTensor& a, const ConstTensor& b, const Tensor& y) {
  const OpTimer timer(device.profile(), "add", MovedBytes({a, b, y}));
  SHOAL_CHECK(Alike(a, b) && Alike(a, y));
  ForPieces(Cpu(device), RowsOf(a), ColumnsOf(a), [&](const Piece& piece) {
    HWY_DYNAMIC_DISPATCH(AddPiece)(a, b, y, piece);
  });
}

void Scale(Device& device, const ConstTensor& x, float factor, const Tensor& y) {
  const OpTimer timer(device.profile(), "scale", MovedBytes({x, y}));
  SHOAL_CHECK(Alike(x, y));
  ForPieces(Cpu(device), RowsOf(x), ColumnsOf(x), [&](const Piece& piece) {
    HWY_DYNAMIC_DISPATCH(ScalePiece)(x, factor, y, piece);
  });
}

void SetZero(Device& device, const Tensor& x) {
  const OpTimer timer(device.profile(), "set zero", MovedBytes({x}));
  SHOAL_CHECK(x.rank() <= 2);
  const int64_t element_bytes = SizeOf(x.type()), row_bytes = x.row_stride() * element_bytes;
  ForPieces(Cpu(device), RowsOf(x), ColumnsOf(x), [&](const Piece& piece) {
    for (int64_t n = piece.row_begin; n < piece.row_end; ++n) {
      std::memset(static_cast<std::byte*>(x.data()) + n * row_bytes + piece.column_begin * element_bytes, 0,
                  piece.columns() * element_bytes);
    }
  });
}

void Convert(Device& device, const ConstTensor& x, const Tensor& y) {
  const OpTimer timer(device.profile(), "convert", MovedBytes({x, y}));
  SHOAL_CHECK(SameShape(x, y) && IsFloat(x.type()) && IsFloat(y.type()));
  ForPieces(Cpu(device), RowsOf(x), ColumnsOf(x), [&](const Piece& piece) {
    HWY_DYNAMIC_DISPATCH(ConvertPiece)(x, y, piece);
  });
}

void CopyToHost(Device& device, const ConstTensor& x, absl::Span<float> out) {
  SHOAL_CHECK(x.rank() == 2 && static_cast<int64_t>(out.size()) == x.size());
  Convert(device, x, Tensor(out.data(), {x.dim(0), x.dim(1)}));
}

void AddColumnSums(Device& device, const ConstTensor& x, const Tensor& sums) {
  const OpTimer timer(device.profile(), "column sums", MovedBytes({x}));
  SHOAL_CHECK(x.rank() == 2 && IsFloat(x.type()) && sums.rank() == 1 && sums.dim(0) == x.dim(1));
  TokenBlocks blocks(Cpu(device), x.dim(0), x.dim(1), 1);
  Cpu(device).pool().ParallelFor(blocks.count(), [&](int64_t block, int) {
    HWY_DYNAMIC_DISPATCH(SumRows)(x, blocks.begin(block), blocks.end(block), blocks.Partial(block, 0));
  });
  blocks.AddTo(0, sums.f32());
}

void PoolRows(Device& device, const ConstTensor& x, const ConstTensor& offsets, RowDivisor divisor,
              const Tensor& y) {
  const OpTimer timer(device.profile(), "pool rows", MovedBytes({x, y}));
  CheckPooled(x, offsets, y);
  const int64_t columns = x.dim(1);
  const int32_t* offset = offsets.i32();
  CpuDevice& cpu = Cpu(device);
  cpu.pool().ParallelFor(y.dim(0), [&](int64_t b, int thread) {
    auto* sums = reinterpret_cast<float*>(cpu.scratch().OfThread(thread, 2 * columns * sizeof(float)));
    HWY_DYNAMIC_DISPATCH(PoolRowsOf)
    (x, offset[b], offset[b + 1], ScaleOf(divisor, offset[b + 1] - offset[b]), sums, sums + columns,
     y.Rows(b, b + 1));
  });
}

void PoolRowsBackward(Device& device, const ConstTensor& d_y, const ConstTensor& offsets, RowDivisor divisor,
                      const Tensor& d_x) {
  const OpTimer timer(device.profile(), "pool rows backward", MovedBytes({d_y, d_x}));
  CheckPooled(d_x, offsets, d_y);
  const int32_t* offset = offsets.i32();
  Cpu(device).pool().ParallelFor(d_y.dim(0), [&](int64_t b, int) {
    const float scale = ScaleOf(divisor, offset[b + 1] - offset[b]);
    for (int64_t n = offset[b]; n < offset[b + 1]; ++n) HWY_DYNAMIC_DISPATCH(ScaleRow)(d_y, b, scale, d_x, n);
  });
}

}  // namespace shoal::kernels
#endif  // HWY_ONCE
