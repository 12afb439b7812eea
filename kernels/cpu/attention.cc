#include "kernels/attention.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "common/base/status.h"
#include "kernels/cpu/attention_tile.h"
#include "kernels/cpu/cpu_device.h"
#include "kernels/cpu/gemm/gemm_tiles.h"

namespace shoal::kernels {
namespace {

// One head of one example, with views of its rows and columns.
struct Head {
  AttentionTile tile;   // all but the tile's position
  ConstTensor q, k, v;  // [T,D]
  int64_t row = 0;      // of the example's first token
  int64_t index = 0;    // of the head
  int64_t keys = 0;     // tokens that are attended to

  int64_t length() const { return tile.length; }
};

void CheckShape(const AttentionShape& shape, const ConstTensor& qkv, const ConstTensor& out,
                const ConstTensor& statistics) {
  const int64_t channels = shape.heads * shape.head_dim;
  SHOAL_CHECK(shape.heads >= 1 && shape.head_dim >= 1);
  SHOAL_CHECK(shape.dropout.rate >= 0 && shape.dropout.rate < 1);
  SHOAL_CHECK(!shape.offsets.empty() && shape.offsets.front() == 0 && shape.offsets.back() == qkv.dim(0));
  SHOAL_CHECK(shape.attended.empty() || shape.attended.size() + 1 == shape.offsets.size());
  SHOAL_CHECK(qkv.rank() == 2 && qkv.dim(1) == 3 * channels);
  SHOAL_CHECK((qkv.type() == DType::kF32 || qkv.type() == DType::kBf16) && out.type() == qkv.type());
  SHOAL_CHECK(out.rank() == 2 && out.dim(0) == qkv.dim(0) && out.dim(1) == channels);
  SHOAL_CHECK(statistics.rank() == 2 && statistics.dim(0) == qkv.dim(0) &&
              statistics.dim(1) == 2 * shape.heads);
}

AttentionTile TileOf(const AttentionShape& shape, int64_t example, int64_t head) {
  AttentionTile tile;
  tile.length = shape.offsets[example + 1] - shape.offsets[example];
  tile.causal = shape.causal;
  tile.scale = shape.scale != 0 ? shape.scale : 1.0f / std::sqrt(static_cast<float>(shape.head_dim));
  tile.drop_below = static_cast<uint32_t>(std::lround(shape.dropout.rate * 65536.0f));
  tile.keep_scale = 65536.0f / (65536.0f - static_cast<float>(tile.drop_below));
  tile.philox_key = shape.dropout.key;
  tile.head = static_cast<uint32_t>(head);
  tile.example = shape.dropout.first_example + static_cast<uint32_t>(example);
  return tile;
}

// Columns of a head in part 0 (queries), 1 (keys) or 2 (values) of [N,3*H*D] or in [N,H*D] (part 0).
template <typename T>
T HeadColumns(const AttentionShape& shape, const T& x, int64_t part, int64_t example, int64_t head) {
  const int64_t first = (part * shape.heads + head) * shape.head_dim;
  return x.Rows(shape.offsets[example], shape.offsets[example + 1]).Columns(first, first + shape.head_dim);
}

Head HeadOf(const AttentionShape& shape, const ConstTensor& qkv, int64_t example, int64_t head) {
  Head h;
  h.tile = TileOf(shape, example, head);
  h.q = HeadColumns(shape, qkv, 0, example, head);
  h.k = HeadColumns(shape, qkv, 1, example, head);
  h.v = HeadColumns(shape, qkv, 2, example, head);
  h.row = shape.offsets[example];
  h.index = head;
  h.keys = shape.attended.empty() ? h.length() : shape.attended[example];
  SHOAL_CHECK(h.keys <= h.length() && (h.keys >= 1 || h.length() == 0));
  return h;
}

// Scratch memory of a thread. In f32, `probabilities` is `scores` and `d_scores` is `d_probabilities`.
class Workspace {
 public:
  Workspace(CpuDevice& device, int thread, const Head& head)
      : channels_(head.q.dim(1)), memory_(device.scratch().OfThread(thread, SizeBytes(head))) {
    const bool narrow = head.q.type() == DType::kBf16;
    for (float** tile : {&scores, &d_probabilities}) *tile = Take<float>(kTile);
    probabilities = narrow ? static_cast<void*>(Take<Bf16>(kTile)) : scores;
    d_scores = narrow ? static_cast<void*>(Take<Bf16>(kTile)) : d_probabilities;
    for (float** row : {&maximum, &sum, &rescale, &delta}) *row = Take<float>(kAttentionQueryTile);
    for (float** sums : {&out, &dk, &dv}) *sums = Take<float>(kAttentionQueryTile * channels_);
    dq = Take<float>(head.length() * channels_);
  }

  // `rows` rows of sums, from `first` on.
  Tensor Sums(float* sums, int64_t rows, int64_t first = 0) const {
    return {sums + first * channels_, {rows, channels_}};
  }

  float *scores, *d_probabilities;         // [queries, keys] of a tile
  void *probabilities, *d_scores;          // the same, of the operands' type
  float *maximum, *sum, *rescale, *delta;  // [queries]
  float *out, *dk, *dv;                    // sums of a tile's rows, [queries or keys, D]
  float* dq;                               // [T,D]

 private:
  static constexpr int64_t kTile = kAttentionQueryTile * kAttentionKeyTile;

  static int64_t SizeBytes(const Head& head) {
    const int64_t floats =
        2 * kTile + 4 * kAttentionQueryTile + (3 * kAttentionQueryTile + head.length()) * head.q.dim(1);
    return floats * static_cast<int64_t>(sizeof(float)) + 2 * kTile * static_cast<int64_t>(sizeof(Bf16));
  }
  template <typename T>
  T* Take(int64_t size) {
    return reinterpret_cast<T*>(std::exchange(memory_, memory_ + size * sizeof(T)));
  }

  const int64_t channels_;
  std::byte* memory_;
};

// The tile of the queries from `query` on and the keys from `key` on.
AttentionTile At(const Head& head, int64_t query, int64_t key) {
  AttentionTile tile = head.tile;
  tile.first_query = query;
  tile.queries = std::min(kAttentionQueryTile, head.length() - query);
  tile.first_key = key;
  tile.keys = std::min(kAttentionKeyTile, head.keys - key);
  return tile;
}

Tensor TileView(const AttentionTile& tile, void* memory, DType type) {
  return Tensor(memory, type, {tile.queries, kAttentionKeyTile}).Columns(0, tile.keys);
}

template <typename T>
T Queries(const AttentionTile& tile, const T& x) {
  return x.Rows(tile.first_query, tile.first_query + tile.queries);
}

template <typename T>
T Keys(const AttentionTile& tile, const T& x) {
  return x.Rows(tile.first_key, tile.first_key + tile.keys);
}

// The first key that no query of [query, query + tile) sees.
int64_t KeyEnd(const Head& head, int64_t query) {
  return head.tile.causal ? std::min(head.keys, query + kAttentionQueryTile) : head.keys;
}

class HeadRunner {
 public:
  HeadRunner(CpuDevice& device, int thread, const Head& head)
      : device_(device), thread_(thread), head_(head), work_(device, thread, head) {}

  void Forward(const Tensor& out, const Tensor& statistics) {
    for (int64_t query = 0; query < head_.length(); query += kAttentionQueryTile)
      ForwardQueries(query, out, statistics);
  }

  struct Gradients {
    ConstTensor out, d_out;  // [T,D]
    ConstTensor statistics;  // [N,2*H]
    Tensor dq, dk, dv;       // [T,D]
  };

  void Backward(const Gradients& g) {
    for (int64_t key = 0; key < head_.keys; key += kAttentionKeyTile) {
      // With a causal mask, the first queries that see a tile of keys are those at the same position.
      const int64_t first_query = head_.tile.causal ? key / kAttentionQueryTile * kAttentionQueryTile : 0;
      for (int64_t query = first_query; query < head_.length(); query += kAttentionQueryTile) {
        BackwardTile(At(head_, query, key), g, query > first_query);
      }
      const AttentionTile keys = At(head_, first_query, key);
      StoreRows(work_.Sums(work_.dk, keys.keys), nullptr, Keys(keys, g.dk));
      StoreRows(work_.Sums(work_.dv, keys.keys), nullptr, Keys(keys, g.dv));
    }
    StoreRows(work_.Sums(work_.dq, head_.length()), nullptr, g.dq);
    for (int64_t row = head_.keys; row < head_.length(); ++row) {
      std::fill_n(work_.dk, g.dk.dim(1), 0.0f);
      for (const Tensor& d : {g.dk, g.dv}) StoreRows(work_.Sums(work_.dk, 1), nullptr, d.Rows(row, row + 1));
    }
  }

 private:
  DType type() const { return head_.q.type(); }

  // c = a b, or += when `add`.
  void Multiply(const ConstTensor& a, const ConstTensor& b, const Tensor& c, bool add) {
    GemmArgs args;
    args.a = a;
    args.b = b;
    args.c = c;
    args.accumulate = add;
    GemmOnThread(device_, thread_, args);
  }
  // c = a b^T.
  void MultiplyByTransposed(const ConstTensor& a, const ConstTensor& b, const Tensor& c) {
    GemmArgs args;
    args.a = a;
    args.b = b;
    args.c = c;
    args.trans_b = true;
    GemmOnThread(device_, thread_, args);
  }
  // c = a^T b, or += when `add`.
  void MultiplyTransposed(const ConstTensor& a, const ConstTensor& b, const Tensor& c, bool add) {
    GemmArgs args;
    args.a = a;
    args.b = b;
    args.c = c;
    args.trans_a = true;
    args.accumulate = add;
    GemmOnThread(device_, thread_, args);
  }

  void ForwardQueries(int64_t query, const Tensor& out, const Tensor& statistics) {
    std::fill_n(work_.maximum, kAttentionQueryTile, -std::numeric_limits<float>::infinity());
    std::fill_n(work_.sum, kAttentionQueryTile, 0.0f);
    const Tensor rows = Queries(At(head_, query, 0), out);
    const Tensor sums = work_.Sums(work_.out, rows.dim(0));
    for (int64_t key = 0; key < KeyEnd(head_, query); key += kAttentionKeyTile)
      ForwardTile(At(head_, query, key), sums);
    for (int64_t i = 0; i < rows.dim(0); ++i) work_.sum[i] = 1.0f / work_.sum[i];
    StoreRows(sums, work_.sum, rows);
    Keep(query, rows.dim(0), statistics);
  }

  void ForwardTile(const AttentionTile& tile, const Tensor& sums) {
    MultiplyByTransposed(Queries(tile, head_.q), Keys(tile, head_.k),
                         TileView(tile, work_.scores, DType::kF32));
    SoftmaxTile(tile, work_.scores, type(), work_.probabilities, work_.maximum, work_.sum, work_.rescale);
    const bool first = tile.first_key == 0;
    if (!first) ScaleRows(sums, work_.rescale);
    Multiply(TileView(tile, work_.probabilities, type()), Keys(tile, head_.v), sums, !first);
  }

  // Statistics of a row: maxima of all heads, then inverse sums of all heads.
  void Keep(int64_t query, int64_t queries, const Tensor& statistics) {
    for (int64_t i = 0; i < queries; ++i) {
      float* row = statistics.f32() + (head_.row + query + i) * statistics.row_stride() + head_.index;
      row[0] = work_.maximum[i];
      row[statistics.dim(1) / 2] = work_.sum[i];
    }
  }

  void Recall(const AttentionTile& tile, const ConstTensor& statistics) {
    for (int64_t i = 0; i < tile.queries; ++i) {
      const float* row =
          statistics.f32() + (head_.row + tile.first_query + i) * statistics.row_stride() + head_.index;
      work_.maximum[i] = row[0];
      work_.sum[i] = row[statistics.dim(1) / 2];
    }
  }

  // Turns the products in scores and d_probabilities into probabilities and d_scores.
  void SoftmaxBackward(const AttentionTile& tile) {
    SoftmaxBackwardArgs args;
    args.maximum = work_.maximum;
    args.inverse_sum = work_.sum;
    args.delta = work_.delta;
    args.scores = work_.scores;
    args.d_probabilities = work_.d_probabilities;
    args.type = type();
    args.probabilities = work_.probabilities;
    args.d_scores = work_.d_scores;
    SoftmaxBackwardTile(tile, args);
  }

  void BackwardTile(const AttentionTile& tile, const Gradients& g, bool add_keys) {
    const ConstTensor q = Queries(tile, head_.q), k = Keys(tile, head_.k), d_out = Queries(tile, g.d_out);
    Recall(tile, g.statistics);
    RowDots(Queries(tile, g.out), d_out, work_.delta);
    MultiplyByTransposed(q, k, TileView(tile, work_.scores, DType::kF32));
    MultiplyByTransposed(d_out, Keys(tile, head_.v), TileView(tile, work_.d_probabilities, DType::kF32));
    SoftmaxBackward(tile);
    const Tensor d_scores = TileView(tile, work_.d_scores, type());
    MultiplyTransposed(TileView(tile, work_.probabilities, type()), d_out, work_.Sums(work_.dv, tile.keys),
                       add_keys);
    MultiplyTransposed(d_scores, q, work_.Sums(work_.dk, tile.keys), add_keys);
    Multiply(d_scores, k, work_.Sums(work_.dq, tile.queries, tile.first_query), tile.first_key > 0);
  }

  CpuDevice& device_;
  int thread_;
  const Head& head_;
  Workspace work_;
};

// `products`: the number of queries-by-keys products; under a causal mask about half of each counts.
OpWork WorkOf(const AttentionShape& shape, int products, double arrays_bytes) {
  double pairs = 0;
  for (size_t b = 0; b + 1 < shape.offsets.size(); ++b) {
    const double length = shape.offsets[b + 1] - shape.offsets[b];
    pairs += shape.causal ? length * (length + 1) / 2 : length * length;
  }
  return {products * 2.0 * pairs * static_cast<double>(shape.heads * shape.head_dim), arrays_bytes};
}

}  // namespace

void AttentionForward(Device& device, const AttentionForwardArgs& args) {
  const AttentionShape& shape = args.shape;
  CheckShape(shape, args.qkv, args.out, args.statistics);
  const OpTimer timer(device.profile(), "attention",
                      WorkOf(shape, 2, args.qkv.size_bytes() + args.out.size_bytes()));
  const int64_t examples = static_cast<int64_t>(shape.offsets.size()) - 1;
  CpuDevice& cpu = Cpu(device);
  cpu.pool().ParallelFor(examples * shape.heads, [&](int64_t item, int thread) {
    const int64_t example = item / shape.heads, index = item % shape.heads;
    const Head head = HeadOf(shape, args.qkv, example, index);
    HeadRunner(cpu, thread, head).Forward(HeadColumns(shape, args.out, 0, example, index), args.statistics);
  });
}

void AttentionBackward(Device& device, const AttentionBackwardArgs& args) {
  const AttentionShape& shape = args.shape;
  CheckShape(shape, args.qkv, args.out, args.statistics);
  CheckShape(shape, args.d_qkv, args.d_out, args.statistics);
  const OpTimer timer(device.profile(), "attention backward",
                      WorkOf(shape, 5, 2.0 * (args.qkv.size_bytes() + args.out.size_bytes())));
  const int64_t examples = static_cast<int64_t>(shape.offsets.size()) - 1;
  CpuDevice& cpu = Cpu(device);
  cpu.pool().ParallelFor(examples * shape.heads, [&](int64_t item, int thread) {
    const int64_t example = item / shape.heads, index = item % shape.heads;
    const Head head = HeadOf(shape, args.qkv, example, index);
    HeadRunner(cpu, thread, head)
        .Backward({HeadColumns(shape, args.out, 0, example, index),
                   HeadColumns(shape, args.d_out, 0, example, index), args.statistics,
                   HeadColumns(shape, args.d_qkv, 0, example, index),
                   HeadColumns(shape, args.d_qkv, 1, example, index),
                   HeadColumns(shape, args.d_qkv, 2, example, index)});
  });
}

}  // namespace shoal::kernels
