#include "kernels/embedding.h"

#include <algorithm>
#include <cstring>

#include "common/base/status.h"
#include "kernels/cpu/row_loops.h"
#include "kernels/cpu/token_sums.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/embedding.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
#include "kernels/cpu/row-inl.h"

#ifndef SHOAL_KERNELS_EMBEDDING_CPU_ONCE
#define SHOAL_KERNELS_EMBEDDING_CPU_ONCE
namespace shoal::kernels {

// A token as a key that sorts by (id, token): id * 2^32 + token.
using TokenOfId = uint64_t;

inline int64_t IdOf(TokenOfId entry) { return static_cast<int64_t>(entry >> 32); }
inline int64_t TokenOf(TokenOfId entry) { return static_cast<int64_t>(entry & 0xFFFFFFFFu); }

inline constexpr int64_t kEmbeddingColumns = 256;  // per item of backward

}  // namespace shoal::kernels
#endif

HWY_BEFORE_NAMESPACE();
namespace shoal::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

template <class T>
void EmbeddingRow(const EmbeddingForwardArgs& args, int64_t n) {
  const float* rows[EmbeddingForwardArgs::kMaxTables];
  int count = 0;
  for (const EmbeddingTable& table : args.tables) {
    if (table.table.present()) rows[count++] = RowOf<float>(table.table, table.ids.i32()[n]);
  }
  T* y = RowOf<T>(args.y, n);
  ForRow(args.y.dim(1), [&](int64_t i, int64_t, auto lanes) HWY_ATTR {
    RowVec v = lanes.Load(rows[0] + i);
    for (int k = 1; k < count; ++k) v = hn::Add(v, lanes.Load(rows[k] + i));
    lanes.Store(v, y + i);
  });
}

void EmbeddingRows(const EmbeddingForwardArgs& args, int64_t begin, int64_t end) {
  const auto row = args.y.type() == DType::kF32 ? &EmbeddingRow<float> : &EmbeddingRow<Bf16>;
  for (int64_t n = begin; n < end; ++n) row(args, n);
}

// to[i] += from[i].
template <class T>
HWY_INLINE void AddRow(int64_t n, const T* from, float* to) {
  ForRow(n, [&](int64_t i, int64_t, auto lanes)
                HWY_ATTR { lanes.Store(hn::Add(lanes.Load(to + i), lanes.Load(from + i)), to + i); });
}

// Adds the tokens [begin, end), all of one id, to columns [column, column + columns) of its row.
template <class T>
void AddTokensOfId(const EmbeddingBackwardArgs& args, const TokenOfId* begin, const TokenOfId* end,
                   int64_t column, int64_t columns) {
  HWY_ALIGN float total[kEmbeddingColumns] = {};
  for (const TokenOfId* first = begin; first < end; first += kTokenBlock) {
    HWY_ALIGN float sum[kEmbeddingColumns] = {};
    for (const TokenOfId* entry = first; entry < std::min(end, first + kTokenBlock); ++entry) {
      AddRow(columns, RowOf<T>(args.d_y, TokenOf(*entry)) + column, sum);
    }
    AddRow(columns, sum, total);
  }
  AddRow(columns, total, RowOf<float>(args.d_table, IdOf(*begin)) + column);
}

// Adds all ids of [begin, end), which holds every token of each of its ids.
void AddTokens(const EmbeddingBackwardArgs& args, const TokenOfId* begin, const TokenOfId* end,
               int64_t column, int64_t columns) {
  const auto add = args.d_y.type() == DType::kF32 ? &AddTokensOfId<float> : &AddTokensOfId<Bf16>;
  while (begin < end) {
    const TokenOfId* next = begin;
    while (next < end && IdOf(*next) == IdOf(*begin)) ++next;
    add(args, begin, next, column, columns);
    begin = next;
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace shoal::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace shoal::kernels {
namespace {

HWY_EXPORT(EmbeddingRows);
HWY_EXPORT(AddTokens);

bool AllIn(const ConstTensor& ids, int64_t size) {
  const int32_t* id = ids.i32();
  return std::all_of(id, id + ids.dim(0), [size](int32_t i) { return i >= 0 && i < size; });
}

void CheckTable(const EmbeddingTable& table, const Tensor& y) {
  if (!table.table.present()) return;
  SHOAL_CHECK(table.table.rank() == 2 && table.table.dim(1) == y.dim(1));
  SHOAL_CHECK(table.ids.rank() == 1 && table.ids.dim(0) == y.dim(0));
  SHOAL_CHECK(AllIn(table.ids, table.table.dim(0)));
}

// The tokens, sorted by id, then by position.
const TokenOfId* SortTokens(CpuDevice& device, const ConstTensor& ids) {
  const int64_t tokens = ids.dim(0);
  auto* entries =
      reinterpret_cast<TokenOfId*>(device.scratch().Shared(tokens * static_cast<int64_t>(sizeof(TokenOfId))));
  for (int64_t n = 0; n < tokens; ++n) {
    entries[n] = static_cast<uint64_t>(ids.i32()[n]) << 32 | static_cast<uint64_t>(n);
  }
  std::sort(entries, entries + tokens);
  return entries;
}

// The first entry at or after `at` with a new id.
const TokenOfId* StartOfId(const TokenOfId* begin, const TokenOfId* at, const TokenOfId* end) {
  while (begin < at && at < end && IdOf(at[-1]) == IdOf(*at)) ++at;
  return std::min(at, end);
}

void CheckRows(const ConstTensor& all, const ConstTensor& rows, const ConstTensor& some) {
  SHOAL_CHECK(all.rank() == 2 && some.rank() == 2 && all.dim(1) == some.dim(1) && all.type() == some.type());
  SHOAL_CHECK(rows.rank() == 1 && rows.dim(0) == some.dim(0) && AllIn(rows, all.dim(0)));
}

void CopyRow(const ConstTensor& from, int64_t from_row, const Tensor& to, int64_t to_row) {
  const int64_t size = SizeOf(from.type());
  std::memcpy(static_cast<std::byte*>(to.data()) + to_row * to.row_stride() * size,
              static_cast<const std::byte*>(from.data()) + from_row * from.row_stride() * size,
              from.dim(1) * size);
}

}  // namespace

void EmbeddingForward(Device& device, const EmbeddingForwardArgs& args) {
  const OpTimer timer(device.profile(), "embedding", MovedBytes({args.y, args.y}));
  SHOAL_CHECK(args.tables[0].table.present() && args.y.rank() == 2);
  for (const EmbeddingTable& table : args.tables) CheckTable(table, args.y);
  ForRows(Cpu(device), args.y.dim(0), args.y.dim(1), [&](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(EmbeddingRows)(args, begin, end);
  });
}

void EmbeddingBackward(Device& device, const EmbeddingBackwardArgs& args) {
  const OpTimer timer(device.profile(), "embedding backward", MovedBytes({args.d_y, args.d_y}));
  const int64_t tokens = args.d_y.dim(0), channels = args.d_y.dim(1);
  SHOAL_CHECK(args.d_table.rank() == 2 && args.d_table.dim(1) == channels && args.ids.dim(0) == tokens);
  SHOAL_CHECK(AllIn(args.ids, args.d_table.dim(0)));
  const TokenOfId* begin = SortTokens(Cpu(device), args.ids);
  const TokenOfId* end = begin + tokens;
  constexpr int64_t kTokens = 128;  // per item, approximately: an item takes the ids that start in its range
  const int64_t across = CutCount(channels, kEmbeddingColumns);
  Cpu(device).pool().ParallelFor(CutCount(tokens, kTokens) * across, [&](int64_t item, int) {
    const int64_t first = item / across * kTokens, column = item % across * kEmbeddingColumns;
    const TokenOfId* next = begin + std::min(tokens, first + kTokens);
    HWY_DYNAMIC_DISPATCH(AddTokens)
    (args, StartOfId(begin, begin + first, end), StartOfId(begin, next, end), column,
     std::min(kEmbeddingColumns, channels - column));
  });
}

void GatherRows(Device& device, const ConstTensor& from, const ConstTensor& rows, const Tensor& to) {
  const OpTimer timer(device.profile(), "gather rows", MovedBytes({to, to}));
  CheckRows(from, rows, to);
  ForRows(Cpu(device), to.dim(0), to.dim(1), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) CopyRow(from, rows.i32()[i], to, i);
  });
}

void ScatterRows(Device& device, const ConstTensor& from, const ConstTensor& rows, const Tensor& to) {
  const OpTimer timer(device.profile(), "scatter rows", MovedBytes({from, to}));
  CheckRows(to, rows, from);
  const int64_t row_bytes = to.dim(1) * SizeOf(to.type());
  const int64_t stride_bytes = to.row_stride() * SizeOf(to.type());
  ForRows(Cpu(device), to.dim(0), to.dim(1), [&](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n) {
      std::memset(static_cast<std::byte*>(to.data()) + n * stride_bytes, 0, row_bytes);
    }
  });
  ForRows(Cpu(device), from.dim(0), from.dim(1), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) CopyRow(from, i, to, rows.i32()[i]);
  });
}

}  // namespace shoal::kernels
#endif  // HWY_ONCE
