#include "kernels/cpu/gemm/gemm_plain.h"

#include <cmath>
#include <optional>

#include "kernels/cpu/gemm/flush_denormals.h"

namespace shoal::kernels {
namespace {

float AValue(const GemmProblem& problem, int64_t i, int64_t k) {
  return problem.a_type == DType::kF32 ? *problem.A<float>(i, k) : ToFloat(*problem.A<Bf16>(i, k));
}

float BValue(const GemmProblem& problem, int64_t k, int64_t j) {
  if (problem.b_type == DType::kBf16) return ToFloat(*problem.B<Bf16>(k, j));
  const float value = *problem.B<float>(k, j);
  return problem.a_type == DType::kF32 ? value : RoundOperand(value);
}

// Uses the instruction, which every processor that Shoal runs on has, rather than libm's function.
__attribute__((target("fma"))) float AddProduct(const GemmProblem& problem, int64_t i, int64_t j, int64_t k,
                                                float sum) {
  return std::fma(AValue(problem, i, k), BValue(problem, k, j), sum);
}

float OneBlock(const GemmProblem& problem, int64_t i, int64_t j, Range k) {
  const bool is_bf16 = problem.a_type == DType::kBf16;
  float sum = 0;
  for (int64_t pair = k.begin; pair < k.end; pair += 2) {
    const bool whole = pair + 1 < k.end;
    if (is_bf16 && whole) sum = AddProduct(problem, i, j, pair + 1, sum);
    sum = AddProduct(problem, i, j, pair, sum);
    if (!is_bf16 && whole) sum = AddProduct(problem, i, j, pair + 1, sum);
  }
  return sum;
}

// A step of the class amx-bf16: what Intel says TDPBF16PS does. Elements past the end of K are zeros.
float OneStep(const GemmProblem& problem, int64_t i, int64_t j, Range k) {
  float even = 0, odd = 0;
  for (int64_t pair = k.begin; pair < k.begin + kGemmStepK; pair += 2) {
    even = pair < k.end ? AddProduct(problem, i, j, pair, even) : even + 0.0f;
    odd = pair + 1 < k.end ? AddProduct(problem, i, j, pair + 1, odd) : odd + 0.0f;
  }
  return even + odd;
}

float OneAmxOutput(const GemmProblem& problem, int64_t i, int64_t j) {
  float sum = problem.accumulate ? *problem.C<float>(i, j) : 0.0f;
  for (int64_t step = 0; step * kGemmStepK < problem.k; ++step)
    sum += OneStep(problem, i, j, Piece(step, kGemmStepK, problem.k));
  return problem.bias != nullptr ? sum + problem.bias[j] : sum;
}

float OneOutput(const GemmProblem& problem, int64_t i, int64_t j) {
  if (problem.a_type == DType::kBf16 && problem.bf16_class == Bf16Class::kAmx)
    return OneAmxOutput(problem, i, j);
  bool add = problem.accumulate;
  float sum = add ? *problem.C<float>(i, j) : 0.0f;
  for (int64_t block = 0; block * kGemmBlockK < problem.k; ++block) {
    const float value = OneBlock(problem, i, j, Piece(block, kGemmBlockK, problem.k));
    sum = add ? sum + value : value;
    add = true;
  }
  return problem.bias != nullptr ? sum + problem.bias[j] : sum;
}

}  // namespace

void PlainGemm(const GemmProblem& problem) {
  std::optional<FlushDenormals> flush;
  if (problem.a_type == DType::kBf16) flush.emplace();
  for (int64_t i = 0; i < problem.m; ++i) {
    for (int64_t j = 0; j < problem.n; ++j) {
      const float value = OneOutput(problem, i, j);
      problem.c_type == DType::kF32 ? void(*problem.C<float>(i, j) = value)
                                    : void(*problem.C<Bf16>(i, j) = ToBf16(value));
    }
  }
}

}  // namespace shoal::kernels
