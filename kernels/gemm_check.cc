#include "kernels/gemm_check.h"

#include <cstring>
#include <vector>

#include "absl/strings/str_cat.h"
#include "kernels/gemm_plain.h"

namespace shoal {
namespace {

struct Shape {
  int64_t m, n, k;
};

// Small and odd ones for the edges, wide ones for other code paths of a library, K around and beyond the
// block.
constexpr Shape kShapes[] = {{1, 1, 1},     {5, 7, 13},   {17, 33, 65},   {3, 64, 384},  {20, 31, 385},
                             {17, 17, 800}, {64, 64, 64}, {16, 192, 400}, {16, 16, 1200}};

// Numbers of many exponents, reproducible on any machine.
std::vector<float> Numbers(int64_t size, uint32_t seed) {
  std::vector<float> numbers(size);
  for (float& x : numbers) {
    seed = seed * 1664525u + 1013904223u;
    x = static_cast<float>(static_cast<int32_t>(seed)) * 0x1p-31f * ((seed & 0x700) != 0 ? 1.0f : 37.5f);
  }
  return numbers;
}

bool SameBits(const Shape& shape, bool trans_a, bool trans_b, bool accumulate,
              absl::FunctionRef<void(const GemmProblem&)> multiply) {
  const auto a = Numbers(shape.m * shape.k, 1), b = Numbers(shape.k * shape.n, 2);
  auto expected = Numbers(shape.m * shape.n, 3), actual = expected;
  GemmProblem problem;
  problem.a = a.data();
  problem.b = b.data();
  problem.lda = trans_a ? shape.m : shape.k;
  problem.ldb = trans_b ? shape.k : shape.n;
  problem.ldc = shape.n;
  problem.m = shape.m;
  problem.n = shape.n;
  problem.k = shape.k;
  problem.trans_a = trans_a;
  problem.trans_b = trans_b;
  problem.accumulate = accumulate;
  problem.c = expected.data();
  PlainGemm(problem);
  problem.c = actual.data();
  multiply(problem);
  return std::memcmp(expected.data(), actual.data(), expected.size() * sizeof(float)) == 0;
}

}  // namespace

std::string CheckGemm(absl::FunctionRef<void(const GemmProblem&)> multiply) {
  int variant = 0;
  for (const Shape& shape : kShapes) {
    for (int i = 0; i < 4; ++i, ++variant) {
      const bool trans_a = (i & 1) != 0, trans_b = (i & 2) != 0, accumulate = variant % 3 == 0;
      if (SameBits(shape, trans_a, trans_b, accumulate, multiply)) continue;
      return absl::StrCat("M=", shape.m, " N=", shape.n, " K=", shape.k, trans_a ? " A transposed" : "",
                          trans_b ? " B transposed" : "", accumulate ? " accumulating" : "");
    }
  }
  return "";
}

}  // namespace shoal
