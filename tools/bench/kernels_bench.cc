#include "tools/bench/kernels_bench.h"

#include <limits>
#include <memory>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "kernels/activation.h"
#include "kernels/attention.h"
#include "kernels/dropout.h"
#include "kernels/elementwise.h"
#include "kernels/embedding.h"
#include "kernels/gemm.h"
#include "kernels/layer_norm.h"
#include "kernels/loss.h"
#include "tools/bench/bench_precision.h"
#include "tools/bench/json_line.h"

namespace shoal::bench {
namespace {

struct GemmShape {
  int64_t m, n, k;
  bool trans_a, trans_b;
};

// Linear layers of 4096 tokens at 256 and 384 channels, 1024 at 768 and 128: forward, gradient of the input,
// gradient of the weight.
constexpr GemmShape kGemmShapes[] = {
    {1024, 128, 128, false, true},   {4096, 384, 384, false, true},   {4096, 1152, 384, false, true},
    {4096, 1536, 384, false, true},  {4096, 384, 1536, false, true},  {4096, 1024, 256, false, true},
    {1024, 3072, 768, false, true},  {1024, 768, 3072, false, true},  {4096, 384, 384, false, false},
    {4096, 384, 1536, false, false}, {4096, 1536, 384, false, false}, {384, 384, 4096, true, false},
    {1536, 384, 4096, true, false},  {384, 1536, 4096, true, false},  {768, 3072, 1024, true, false},
};

// Activations of one precision.
class Values {
 public:
  Values(kernels::DType type, int64_t size, float value) : type_(type) {
    type == kernels::DType::kF32 ? f32_.assign(size, value) : bf16_.assign(size, kernels::ToBf16(value));
  }
  kernels::Tensor Matrix(int64_t rows, int64_t columns) {
    return type_ == kernels::DType::kF32 ? kernels::Tensor(f32_.data(), {rows, columns})
                                         : kernels::Tensor(bf16_.data(), {rows, columns});
  }

 private:
  const kernels::DType type_;
  std::vector<float> f32_;
  std::vector<kernels::Bf16> bf16_;
};

class Runner {
 public:
  Runner(kernels::CpuDevice& device, const KernelsOptions& options, kernels::DType type)
      : device_(device), options_(options), type_(type) {}

  void All() {
    for (const GemmShape& shape : kGemmShapes) Product(shape);
    for (int64_t length : {64, 128, 512}) {
      Attention({4096 / length, length, 12, 32});
      Attention({4096 / length, length, 4, 64});
    }
    Rows(4096, 384);
    Rows(4096, 1536);
    Classes(256, 30522);
  }

 private:
  struct Heads {
    int64_t examples, length, heads, head_dim;
  };

  // Calls `fn` several times, after a warm-up, and prints the best time of each kernel in it.
  void Measure(const std::string& shape, absl::FunctionRef<void()> fn) {
    std::vector<kernels::OpTotals> best;
    for (int i = 0; i <= options_.repeats; ++i) {
      kernels::OpProfile profile;
      device_.set_profile(&profile);
      fn();
      device_.set_profile(nullptr);
      if (i <= 1) best.assign(profile.totals().begin(), profile.totals().end());
      for (size_t op = 0; op < best.size(); ++op) {
        if (profile.totals()[op].seconds < best[op].seconds) best[op] = profile.totals()[op];
      }
    }
    for (const kernels::OpTotals& op : best) Print(shape, op);
  }

  void Print(const std::string& shape, const kernels::OpTotals& op) const {
    if (!absl::StrContains(op.name, options_.only)) return;
    JsonLine line("kernels");
    line.Text("kernel", op.name).Text("shape", shape).Number("microseconds", op.seconds * 1e6);
    if (op.work.flops > 0) line.Number("gflops", op.work.flops / op.seconds * 1e-9);
    line.Number("gigabytes_per_second", op.work.bytes / op.seconds * 1e-9).Print();
  }

  void Product(const GemmShape& s) {
    // B of a layer and C of its gradient are parameters, which are always f32.
    Values a(type_, s.m * s.k, 0.5f), b(s.trans_a ? type_ : kernels::DType::kF32, s.k * s.n, 0.25f);
    Values c(s.trans_a ? kernels::DType::kF32 : type_, s.m * s.n, 0);
    kernels::GemmArgs args;
    args.a = s.trans_a ? a.Matrix(s.k, s.m) : a.Matrix(s.m, s.k);
    args.b = s.trans_b ? b.Matrix(s.n, s.k) : b.Matrix(s.k, s.n);
    args.c = c.Matrix(s.m, s.n);
    args.trans_a = s.trans_a;
    args.trans_b = s.trans_b;
    const std::string shape =
        absl::StrCat("M=", s.m, " N=", s.n, " K=", s.k, s.trans_a ? " A^T" : "", s.trans_b ? " B^T" : "");
    Measure(shape, [&] { kernels::Gemm(device_, args); });
  }

  void Attention(const Heads& s) {
    const int64_t tokens = s.examples * s.length, channels = s.heads * s.head_dim;
    Values qkv(type_, tokens * 3 * channels, 0.1f), out(type_, tokens * channels, 0);
    Values d_qkv(type_, tokens * 3 * channels, 0);
    std::vector<float> statistics(tokens * 2 * s.heads);
    std::vector<int32_t> offsets;
    for (int64_t b = 0; b <= s.examples; ++b) offsets.push_back(static_cast<int32_t>(b * s.length));
    kernels::AttentionForwardArgs forward;
    forward.shape.heads = s.heads;
    forward.shape.head_dim = s.head_dim;
    forward.shape.dropout.rate = 0.1f;
    forward.shape.offsets = offsets;
    forward.qkv = qkv.Matrix(tokens, 3 * channels);
    forward.out = out.Matrix(tokens, channels);
    forward.statistics = kernels::Tensor(statistics.data(), {tokens, 2 * s.heads});
    const kernels::AttentionBackwardArgs backward = {forward.shape, forward.qkv,
                                                     forward.out,   forward.statistics,
                                                     forward.out,   d_qkv.Matrix(tokens, 3 * channels)};
    Measure(absl::StrCat("B=", s.examples, " T=", s.length, " H=", s.heads, " D=", s.head_dim), [&] {
      kernels::AttentionForward(device_, forward);
      kernels::AttentionBackward(device_, backward);
    });
  }

  void Rows(int64_t rows, int64_t columns) {
    Values a(type_, rows * columns, 0.5f), b = a, c = a, d = a;
    std::vector<float> vectors(4 * columns, 1.0f), table(rows * columns, 0.5f);
    std::vector<float> statistics(2 * rows, 1.0f);
    std::vector<int32_t> ids(rows);
    for (int64_t n = 0; n < rows; ++n) ids[n] = static_cast<int32_t>(n * 7919 % rows);
    const auto matrix = [&](Values& x) { return x.Matrix(rows, columns); };
    const kernels::Tensor rows_of_table(table.data(), {rows, columns});
    const auto vector = [&](int i) { return kernels::Tensor(vectors.data() + i * columns, {columns}); };
    const kernels::Tensor mean(statistics.data(), {rows}), rstd(statistics.data() + rows, {rows});
    kernels::Dropout dropout;
    dropout.rate = 0.1f;
    kernels::NormForwardArgs norm;
    norm.x = matrix(a), norm.bias = vector(0), norm.residual = matrix(b), norm.dropout = dropout;
    norm.sum = matrix(c), norm.gamma = vector(1), norm.beta = vector(2), norm.y = matrix(d);
    norm.mean = mean, norm.rstd = rstd;
    kernels::NormBackwardArgs norm_backward;
    norm_backward.sum = matrix(c), norm_backward.mean = mean, norm_backward.rstd = rstd;
    norm_backward.gamma = vector(1), norm_backward.d_y = matrix(b), norm_backward.dropout = dropout;
    norm_backward.d_sum = matrix(b), norm_backward.d_x = matrix(d);
    norm_backward.d_gamma = vector(2), norm_backward.d_beta = vector(3), norm_backward.d_bias = vector(0);
    Measure(absl::StrCat("N=", rows, " C=", columns), [&] {
      kernels::EmbeddingForwardArgs embedding;
      embedding.tables[0] = {rows_of_table, kernels::ConstTensor(ids.data(), {rows})};
      embedding.y = matrix(c);
      kernels::EmbeddingForward(device_, embedding);
      kernels::EmbeddingBackward(device_,
                                 {kernels::ConstTensor(ids.data(), {rows}), matrix(a), rows_of_table});
      kernels::NormForward(device_, norm);
      kernels::NormBackward(device_, norm_backward);
      kernels::ActivationForward(device_, {kernels::Activation::kGelu, matrix(a), vector(0), matrix(c)});
      kernels::ActivationBackward(device_, {kernels::Activation::kGelu, matrix(a), vector(0), matrix(c),
                                            matrix(d), matrix(b), vector(3)});
      kernels::ApplyDropout(device_, {dropout, matrix(a), kernels::ConstTensor(), matrix(c)});
      kernels::Add(device_, matrix(a), matrix(b), matrix(c));
      kernels::AddColumnSums(device_, matrix(a), vector(3));
      kernels::SetZero(device_, matrix(d));
    });
  }

  void Classes(int64_t rows, int64_t classes) {
    Values logits(type_, rows * classes, 0.5f), d_logits = logits;
    const std::vector<int32_t> labels(rows, 7);
    kernels::CrossEntropyArgs args;
    args.logits = logits.Matrix(rows, classes);
    args.labels = kernels::ConstTensor(labels.data(), {rows});
    args.d_logits = d_logits.Matrix(rows, classes);
    Measure(absl::StrCat("N=", rows, " V=", classes), [&] { kernels::CrossEntropy(device_, args); });
  }

  kernels::CpuDevice& device_;
  const KernelsOptions& options_;
  const kernels::DType type_;
};

}  // namespace

absl::Status RunKernels(const KernelsOptions& options) {
  const auto type = ParsePrecision(options.precision);
  if (!type.ok()) return type.status();
  const auto device = MakeBenchDevice(options.threads);
  if (!device.ok()) return device.status();
  JsonLine("kernels").Text("device", (*device)->Describe()).Text("precision", options.precision).Print();
  Runner(**device, options, *type).All();
  return absl::OkStatus();
}

}  // namespace shoal::bench
