#include "kernels/gemm_plain.h"

#include <cmath>

namespace shoal {
namespace {

// With the instruction, which every processor that Shoal runs on has, and not libm's function.
__attribute__((target("fma"))) float OneBlock(const GemmProblem& problem, int64_t i, int64_t j, Range k) {
  float sum = 0;
  for (int64_t kk = k.begin; kk < k.end; ++kk) sum = std::fma(*problem.A(i, kk), *problem.B(kk, j), sum);
  return sum;
}

float OneOutput(const GemmProblem& problem, int64_t i, int64_t j) {
  bool add = problem.accumulate;
  float sum = add ? *problem.C(i, j) : 0.0f;
  for (int64_t block = 0; block * kGemmBlockK < problem.k; ++block) {
    const float value = OneBlock(problem, i, j, Piece(block, kGemmBlockK, problem.k));
    sum = add ? sum + value : value;
    add = true;
  }
  return problem.bias != nullptr ? sum + problem.bias[j] : sum;
}

}  // namespace

void PlainGemm(const GemmProblem& problem) {
  for (int64_t i = 0; i < problem.m; ++i) {
    for (int64_t j = 0; j < problem.n; ++j) *problem.C(i, j) = OneOutput(problem, i, j);
  }
}

}  // namespace shoal
