#include "kernels/cpu/gemm/gemm_check.h"

#include <cstring>
#include <vector>

#include "absl/strings/str_cat.h"
#include "kernels/cpu/gemm/gemm_plain.h"

namespace shoal::kernels {
namespace {

struct Shape {
  int64_t m, n, k;
};

// Small and odd shapes for the edges, wide ones for other code paths of a library, K around and beyond one
// block.
constexpr Shape kShapes[] = {{1, 1, 1},     {5, 7, 13},   {17, 33, 65},   {3, 64, 384},  {20, 31, 385},
                             {17, 17, 800}, {64, 64, 64}, {16, 192, 400}, {16, 16, 1200}};

// Numbers with many different exponents, reproducible on any machine.
std::vector<float> Numbers(int64_t size, uint32_t seed) {
  std::vector<float> numbers(size);
  for (float& x : numbers) {
    seed = seed * 1664525u + 1013904223u;
    x = static_cast<float>(static_cast<int32_t>(seed)) * 0x1p-31f * ((seed & 0x700) != 0 ? 1.0f : 37.5f);
  }
  return numbers;
}

// The numbers as the operand's type, in bytes.
std::vector<std::byte> Operand(int64_t size, uint32_t seed, DType type) {
  const std::vector<float> numbers = Numbers(size, seed);
  std::vector<std::byte> bytes(size * SizeOf(type));
  if (type == DType::kF32) {
    std::memcpy(bytes.data(), numbers.data(), bytes.size());
  } else {
    auto* to = reinterpret_cast<Bf16*>(bytes.data());
    for (float x : numbers) *to++ = ToBf16(x);
  }
  return bytes;
}

// What a variant of a shape is computed with.
struct Variant {
  bool trans_a, trans_b, accumulate;
  DType a, b;
  Bf16Class bf16_class;
};

bool SameBits(const Shape& shape, const Variant& variant,
              absl::FunctionRef<void(const GemmProblem&)> multiply) {
  const auto a = Operand(shape.m * shape.k, 1, variant.a), b = Operand(shape.k * shape.n, 2, variant.b);
  auto expected = Numbers(shape.m * shape.n, 3), actual = expected;
  GemmProblem problem;
  problem.a = a.data();
  problem.b = b.data();
  problem.a_type = variant.a;
  problem.b_type = variant.b;
  problem.bf16_class = variant.bf16_class;
  problem.lda = variant.trans_a ? shape.m : shape.k;
  problem.ldb = variant.trans_b ? shape.k : shape.n;
  problem.ldc = shape.n;
  problem.m = shape.m;
  problem.n = shape.n;
  problem.k = shape.k;
  problem.trans_a = variant.trans_a;
  problem.trans_b = variant.trans_b;
  problem.accumulate = variant.accumulate;
  problem.c = expected.data();
  PlainGemm(problem);
  problem.c = actual.data();
  multiply(problem);
  return std::memcmp(expected.data(), actual.data(), expected.size() * sizeof(float)) == 0;
}

}  // namespace

std::string CheckGemm(DType type, Bf16Class bf16_class,
                      absl::FunctionRef<void(const GemmProblem&)> multiply) {
  int count = 0;
  for (const Shape& shape : kShapes) {
    for (int i = 0; i < 4; ++i, ++count) {
      const Variant variant = {
          (i & 1) != 0, (i & 2) != 0, count % 3 == 0, type, count % 2 == 0 ? type : DType::kF32, bf16_class};
      if (SameBits(shape, variant, multiply)) continue;
      return absl::StrCat(DTypeName(type), " M=", shape.m, " N=", shape.n, " K=", shape.k,
                          variant.trans_a ? " A transposed" : "", variant.trans_b ? " B transposed" : "",
                          variant.accumulate ? " accumulating" : "");
    }
  }
  return "";
}

}  // namespace shoal::kernels
