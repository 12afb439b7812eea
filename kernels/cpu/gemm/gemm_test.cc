#include "kernels/gemm.h"

#include <atomic>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "absl/base/config.h"
#include "catch2/catch.hpp"
#include "kernels/cpu/gemm/gemm_bf16_amx-inl.h"
#include "kernels/cpu/gemm/gemm_own_driver.h"
#include "kernels/cpu/gemm/gemm_plain.h"
#include "kernels/cpu/gemm/gemm_tiles.h"
#include "kernels/cpu/isa.h"
#include "kernels/test_numbers.h"

namespace shoal::kernels {
namespace {

// One product with its operands. Rows are wider than the matrices, so strides are used.
struct Case {
  int64_t m, n, k;
  bool trans_a = false, trans_b = false, accumulate = false, bias = false;
  DType a = DType::kF32, b = DType::kF32, c = DType::kF32;
  float scale = 1;  // of A's and B's numbers

  std::string Name() const {
    return std::to_string(m) + "x" + std::to_string(n) + "x" + std::to_string(k) + (trans_a ? " A'" : "") +
           (trans_b ? " B'" : "") + (accumulate ? " +=" : "") + (bias ? " bias" : "") + " " +
           std::string(DTypeName(a)) + " " + std::string(DTypeName(b)) + " " + std::string(DTypeName(c));
  }
};

// Numbers as f32 or bf16.
class Operand {
 public:
  Operand(int64_t size, uint32_t seed, float scale, DType type) : type_(type), f32_(Numbers(size, seed)) {
    for (float& x : f32_) x *= scale;
    if (type == DType::kBf16) bf16_ = ToBf16s(f32_);
  }
  const void* data() const {
    return type_ == DType::kF32 ? static_cast<const void*>(f32_.data()) : bf16_.data();
  }
  DType type() const { return type_; }

 private:
  DType type_;
  std::vector<float> f32_;
  std::vector<Bf16> bf16_;
};

class Product {
 public:
  explicit Product(const Case& c)
      : case_(c),
        a_((c.trans_a ? c.k : c.m) * Stride(c.trans_a ? c.m : c.k), 1, c.scale, c.a),
        b_((c.trans_b ? c.n : c.k) * Stride(c.trans_b ? c.k : c.n), 2, c.scale, c.b),
        c_(Numbers(c.m * Stride(c.n), 3)),
        bias_(Numbers(c.n, 4)) {}

  std::vector<std::byte> Plain(Bf16Class bf16_class = Bf16Class::kAvx512) const {
    return WithProblem(bf16_class, &PlainGemm);
  }

  // `run` is given the problem.
  template <typename Run>
  std::vector<std::byte> WithProblem(Bf16Class bf16_class, Run run) const {
    std::vector<std::byte> result = InitialC();
    GemmProblem problem;
    problem.a = a_.data();
    problem.b = b_.data();
    problem.c = result.data();
    problem.a_type = case_.a;
    problem.b_type = case_.b;
    problem.c_type = case_.c;
    problem.bf16_class = bf16_class;
    problem.lda = Stride(case_.trans_a ? case_.m : case_.k);
    problem.ldb = Stride(case_.trans_b ? case_.k : case_.n);
    problem.ldc = Stride(case_.n);
    problem.m = case_.m;
    problem.n = case_.n;
    problem.k = case_.k;
    problem.trans_a = case_.trans_a;
    problem.trans_b = case_.trans_b;
    problem.accumulate = case_.accumulate;
    problem.bias = case_.bias ? bias_.data() : nullptr;
    run(problem);
    return result;
  }

  // `run` is given the arguments and calls one of the functions under test.
  template <typename Run>
  std::vector<std::byte> With(Run run) const {
    std::vector<std::byte> result = InitialC();
    GemmArgs args;
    args.a = View(a_, case_.trans_a ? case_.k : case_.m, case_.trans_a ? case_.m : case_.k);
    args.b = View(b_, case_.trans_b ? case_.n : case_.k, case_.trans_b ? case_.k : case_.n);
    args.c = Tensor(result.data(), case_.c, {case_.m, Stride(case_.n)}).Columns(0, case_.n);
    args.trans_a = case_.trans_a;
    args.trans_b = case_.trans_b;
    args.accumulate = case_.accumulate;
    if (case_.bias) args.bias = ConstTensor(bias_.data(), {case_.n});
    run(args);
    return result;
  }

 private:
  static int64_t Stride(int64_t columns) { return columns + 3; }
  static ConstTensor View(const Operand& operand, int64_t rows, int64_t columns) {
    return ConstTensor(operand.data(), operand.type(), {rows, Stride(columns)}).Columns(0, columns);
  }
  std::vector<std::byte> InitialC() const {
    std::vector<std::byte> bytes(c_.size() * SizeOf(case_.c));
    if (case_.c == DType::kF32) std::memcpy(bytes.data(), c_.data(), bytes.size());
    return bytes;
  }

  Case case_;
  Operand a_, b_;
  std::vector<float> c_, bias_;
};

// Under AddressSanitizer, which is twenty times as slow, a large shape has one variant.
#ifdef ABSL_HAVE_ADDRESS_SANITIZER
constexpr bool kSlow = true;
#else
constexpr bool kSlow = false;
#endif

std::vector<Case> Cases() {
  std::vector<Case> cases;
  int variant = 0;
  const int64_t shapes[][3] = {{1, 1, 1},      {1, 70, 3},     {13, 1, 17},   {14, 32, 384},
                               {15, 33, 385},  {6, 16, 1},     {7, 17, 769},  {100, 50, 20},
                               {31, 400, 800}, {90, 40, 1153}, {31, 1100, 20}};
  for (const auto& shape : shapes) {
    const bool large = shape[0] * shape[1] * shape[2] > 500'000;
    for (int i = 0; i < 4; ++i, ++variant) {
      if (kSlow && large && i != variant / 4 % 4) continue;
      cases.push_back(
          {shape[0], shape[1], shape[2], (i & 1) != 0, (i & 2) != 0, variant % 3 == 0, variant % 2 == 0});
    }
  }
  return cases;
}

// The same with bf16 operands; where that is allowed, C is bf16 every other time.
std::vector<Case> Bf16Cases() {
  std::vector<Case> cases;
  int variant = 0;
  for (Case c : Cases()) {
    ++variant;
    c.a = DType::kBf16;
    if (variant % 3 != 0) c.b = DType::kBf16;
    if (!c.accumulate && variant % 2 == 0) c.c = DType::kBf16;
    cases.push_back(c);
  }
  // Products and sums below the smallest normal number.
  cases.push_back({20, 40, 50, false, true, false, false, DType::kBf16, DType::kBf16, DType::kF32, 1e-19f});
  cases.push_back({20, 40, 50, true, false, false, false, DType::kBf16, DType::kF32, DType::kF32, 1e-38f});
  return cases;
}

bool SameBits(const std::vector<std::byte>& a, const std::vector<std::byte>& b) { return a == b; }

// Whether this processor must be able to run what is requested: it has the instruction set, and oneDNN meets
// the definition wherever there is AVX-512.
bool MustRun(const std::string& isa, GemmPath path) {
  const Isa here = DetectIsa().value();
  if (!isa.empty() && ParseIsa(isa).value() > here) return false;
  return path != GemmPath::kOnednn || here >= Isa::kAvx512;
}

// A device with these options; null when this processor can't provide it (it lacks the instruction set, or
// oneDNN differs here). In CI nothing that could run is skipped.
std::unique_ptr<CpuDevice> MakeDevice(const std::string& isa, GemmPath path, int threads) {
  CpuDeviceOptions options;
  options.isa = isa;
  options.gemm_path = path;
  options.threads = threads;
  auto device = CpuDevice::Create(options);
  if (!device.ok()) {
    WARN("skipped: " << device.status().message());
    CHECK_FALSE((std::getenv("CI") != nullptr && MustRun(isa, path)));
  }
  return device.ok() ? *std::move(device) : nullptr;
}

void CheckAllCases(const std::string& isa, GemmPath path, int threads, const std::vector<Case>& cases) {
  const auto device = MakeDevice(isa, path, threads);
  if (device == nullptr) return;
  for (const Case& c : cases) {
    INFO(c.Name() << " on " << device->Describe());
    const Product product(c);
    CHECK(SameBits(product.Plain(), product.With([&](const GemmArgs& args) { Gemm(*device, args); })));
  }
}

TEST_CASE("our GEMM has the bits of the definition on every instruction set and number of threads") {
  for (const char* isa : {"avx2", "avx512"}) {
    for (int threads : {1, 3}) CheckAllCases(isa, GemmPath::kOwn, threads, Cases());
  }
}

TEST_CASE("the bf16 GEMM has the bits of its definition with AVX512_BF16 and without") {
  for (const char* isa : {"avx2", "avx512", "avx512-bf16"}) {
    for (int threads : {1, 3}) CheckAllCases(isa, GemmPath::kOwn, threads, Bf16Cases());
  }
}

// What Intel says AMX tiles do, in plain loops.
class ModelTiles {
 public:
  void ZeroSums() { std::memset(sums_, 0, sizeof(sums_)); }
  void LoadSums(const float* sums, int64_t stride) {
    for (int64_t i = 0; i < kAmxSide; ++i) std::memcpy(sums_[i], sums + i * stride, sizeof(sums_[i]));
  }
  void StoreSums(float* sums, int64_t stride) {
    for (int64_t i = 0; i < kAmxSide; ++i) std::memcpy(sums + i * stride, sums_[i], sizeof(sums_[i]));
  }
  __attribute__((target("fma"))) void Step(const Bf16* a, const Bf16* b) {
    for (int64_t i = 0; i < kAmxSide; ++i) {
      for (int64_t j = 0; j < kAmxSide; ++j) {
        float chain[2] = {0, 0};
        for (int64_t k = 0; k < kGemmStepK; ++k) {
          const float x = ToFloat(a[i * kGemmBlockK + k]);
          const float y = ToFloat(b[k / 2 * kBf16PairColumns + 2 * j + k % 2]);
          chain[k % 2] = std::fma(x, y, chain[k % 2]);
        }
        sums_[i][j] += chain[0] + chain[1];
      }
    }
  }

 private:
  float sums_[kAmxSide][kAmxSide];
};

TEST_CASE("the amx-bf16 product has the bits of its definition on a model of AMX's tiles") {
  for (int threads : {1, 3}) {
    const auto device = MakeDevice("avx512-bf16", GemmPath::kOwn, threads);
    if (device == nullptr) return;
    for (const Case& c : Bf16Cases()) {
      INFO(c.Name());
      const Product product(c);
      const auto result = product.WithProblem(Bf16Class::kAmx, [&](const GemmProblem& problem) {
        OwnGemm(device->gemm(), AmxProduct<ModelTiles>::Kernel(), problem, false, [](const GemmTile&) {});
      });
      CHECK(SameBits(product.Plain(Bf16Class::kAmx), result));
    }
  }
}

TEST_CASE("the amx-bf16 product has the bits of its definition with AMX, and is an error without") {
  const auto device = MakeDevice("", GemmPath::kOwn, 2);
  const absl::Status status = device->UseBf16Class(Bf16Class::kAmx);
  CHECK(status.ok() == device->Computes(Bf16Class::kAmx));
  if (!status.ok()) {
    WARN("not on AMX: " << status.message());
    CHECK(absl::IsFailedPrecondition(status));
    CHECK(device->bf16_class() == Bf16Class::kAvx512);
    return;
  }
  for (const Case& c : Bf16Cases()) {
    INFO(c.Name());
    const Product product(c);
    CHECK(SameBits(product.Plain(Bf16Class::kAmx),
                   product.With([&](const GemmArgs& args) { Gemm(*device, args); })));
  }
}

TEST_CASE("the two classes of bf16 differ") {
  const Product product({20, 20, 200, false, false, false, false, DType::kBf16, DType::kBf16});
  CHECK_FALSE(SameBits(product.Plain(Bf16Class::kAvx512), product.Plain(Bf16Class::kAmx)));
}

TEST_CASE("oneDNN's GEMM has the bits of the definition wherever the check at start lets it") {
  for (int threads : {1, 2}) CheckAllCases("", GemmPath::kOnednn, threads, Cases());
}

TEST_CASE("a product inside an item has the bits of one on all threads") {
  const auto device = MakeDevice("", GemmPath::kOwn, 2);
  const Case c{100, 70, 500, true, false, true, true};
  const Product product(c);
  std::vector<std::vector<std::byte>> results(4);
  device->pool().ParallelFor(4, [&](int64_t item, int thread) {
    results[item] = product.With([&](const GemmArgs& args) { GemmOnThread(*device, thread, args); });
  });
  for (const auto& result : results) CHECK(SameBits(result, product.Plain()));
}

TEST_CASE("the epilogue sees each finished element once, in whole rows up to 1024 columns") {
  for (GemmPath path : {GemmPath::kOwn, GemmPath::kOnednn}) {
    const auto device = MakeDevice("", path, 2);
    if (device == nullptr) continue;
    const Case c{300, 700, 800, false, true, false, true};
    const Product product(c);
    std::atomic<int> partial_rows{0};
    const auto result = product.With([&](const GemmArgs& args) {
      GemmWithEpilogue(*device, args, [&](const GemmTile& tile) {
        partial_rows += tile.column_begin != 0 || tile.column_end != 700;
        for (int64_t i = tile.row_begin; i < tile.row_end; ++i) {
          float* row = args.c.f32() + i * args.c.row_stride();
          for (int64_t j = tile.column_begin; j < tile.column_end; ++j) row[j] *= 2;
        }
      });
    });
    auto expected = product.Plain();
    auto* row = reinterpret_cast<float*>(expected.data());
    for (int64_t i = 0; i < 300; ++i, row += 700 + 3) {
      for (int64_t j = 0; j < 700; ++j) row[j] *= 2;
    }
    CHECK(SameBits(result, expected));
    CHECK(partial_rows == 0);
  }
}

TEST_CASE("a product over nothing is zero, or what was there, plus the bias") {
  const auto device = MakeDevice("", GemmPath::kOwn, 1);
  for (bool accumulate : {false, true}) {
    const Product product({5, 6, 0, false, false, accumulate, true});
    CHECK(SameBits(product.Plain(), product.With([&](const GemmArgs& args) { Gemm(*device, args); })));
  }
}

TEST_CASE("a steady state allocates no scratch and creates no primitive") {
  for (GemmPath path : {GemmPath::kOwn, GemmPath::kOnednn}) {
    const auto device = MakeDevice("", path, 1);
    if (device == nullptr) continue;
    const Product product({300, 100, 500, false, true});
    const auto run = [&] { product.With([&](const GemmArgs& args) { Gemm(*device, args); }); };
    run();
    const DeviceCounters before = device->counters();
    for (int i = 0; i < 3; ++i) run();
    CHECK(device->counters().primitives_created == before.primitives_created);
    CHECK(device->counters().scratch_allocations == before.scratch_allocations);
  }
}

}  // namespace
}  // namespace shoal::kernels
