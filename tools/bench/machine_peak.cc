#include "tools/bench/machine_peak.h"

#pragma GCC diagnostic ignored "-Wuninitialized"  // GCC 12 warns about its own intrinsics (GCC bug 105593)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#include <immintrin.h>

#include <cstring>
#include <vector>

#include "tools/bench/timing.h"

namespace shoal::bench {
namespace {

constexpr int kChains = 12;  // independent sums: more than the instruction's latency
constexpr int64_t kSteps = 200000;

// Each returns a value derived from its sums, so that they are computed; they start from different numbers,
// so that all are.
__attribute__((target("avx2,fma"))) float FmaAvx2() {
  __m256 sums[kChains], x = _mm256_set1_ps(0.5f);
  for (int i = 0; i < kChains; ++i) sums[i] = _mm256_set1_ps(static_cast<float>(i));
  for (int64_t i = 0; i < kSteps; ++i) {
#pragma GCC unroll 12
    for (__m256& sum : sums) sum = _mm256_fmadd_ps(sum, x, x);
    asm volatile("" : "+x"(x));
  }
  float total = 0;
  for (const __m256& sum : sums) total += _mm256_cvtss_f32(sum);
  return total;
}

__attribute__((target("avx512f"))) float FmaAvx512() {
  __m512 sums[kChains], x = _mm512_set1_ps(0.5f);
  for (int i = 0; i < kChains; ++i) sums[i] = _mm512_set1_ps(static_cast<float>(i));
  for (int64_t i = 0; i < kSteps; ++i) {
#pragma GCC unroll 12
    for (__m512& sum : sums) sum = _mm512_fmadd_ps(sum, x, x);
    asm volatile("" : "+v"(x));
  }
  float total = 0;
  for (const __m512& sum : sums) total += _mm512_cvtss_f32(sum);
  return total;
}

__attribute__((target("avx512f,avx512bf16"))) float DotsAvx512Bf16() {
  __m512 sums[kChains];
  for (int i = 0; i < kChains; ++i) sums[i] = _mm512_set1_ps(static_cast<float>(i));
  __m512i x = _mm512_set1_epi32(0x3F003F00);  // 0.5, twice
  for (int64_t i = 0; i < kSteps; ++i) {
    const auto pairs = reinterpret_cast<__m512bh>(x);
#pragma GCC unroll 12
    for (__m512& sum : sums) sum = _mm512_dpbf16_ps(sum, pairs, pairs);
    asm volatile("" : "+v"(x));
  }
  float total = 0;
  for (const __m512& sum : sums) total += _mm512_cvtss_f32(sum);
  return total;
}

// The loop and the floating-point operations of one of its instructions.
struct PeakLoop {
  float (*run)();
  double flops;
};

PeakLoop LoopOf(kernels::Isa isa, kernels::DType activations) {
  if (activations == kernels::DType::kBf16 && isa >= kernels::Isa::kAvx512Bf16) return {&DotsAvx512Bf16, 64};
  return isa >= kernels::Isa::kAvx512 ? PeakLoop{&FmaAvx512, 32} : PeakLoop{&FmaAvx2, 16};
}

double CopyGigabytesPerSecond(ThreadPool& pool) {
  constexpr int64_t kBytes = 256 << 20, kPiece = 1 << 20;
  std::vector<char> from(kBytes, 1), to(kBytes);
  const double seconds = BestSeconds(3, [&] {
    pool.ParallelFor(kBytes / kPiece, [&](int64_t item, int) {
      std::memcpy(to.data() + item * kPiece, from.data() + item * kPiece, kPiece);
    });
  });
  return 2e-9 * kBytes / seconds;
}

}  // namespace

MachinePeak MeasureMachinePeak(kernels::CpuDevice& device, kernels::DType activations) {
  const PeakLoop loop = LoopOf(device.isa(), activations);
  ThreadPool& pool = device.pool();
  std::vector<float> results(pool.threads());
  const double seconds = BestSeconds(
      3, [&] { pool.ParallelFor(pool.threads(), [&](int64_t item, int) { results[item] = loop.run(); }); });
  MachinePeak peak;
  peak.gflops = 1e-9 * loop.flops * kChains * kSteps * pool.threads() / seconds;
  peak.gigabytes_per_second = CopyGigabytesPerSecond(pool);
  return peak;
}

}  // namespace shoal::bench
