// Treats denormal numbers as 0 while an instance is alive.
#pragma once

#include <xmmintrin.h>

namespace shoal::kernels {

// Applies to the calling thread's SSE, AVX and AVX-512 arithmetic: denormal operands are read as 0, denormal
// results become 0 (MXCSR's DAZ and FTZ). AVX512_BF16 always works this way; with this class the whole bf16
// GEMM does.
class FlushDenormals {
 public:
  FlushDenormals() : before_(_mm_getcsr()) { _mm_setcsr(before_ | kDenormalsAreZero | kFlushToZero); }
  ~FlushDenormals() { _mm_setcsr(before_); }
  FlushDenormals(const FlushDenormals&) = delete;
  FlushDenormals& operator=(const FlushDenormals&) = delete;

 private:
  static constexpr unsigned kDenormalsAreZero = 1u << 6;
  static constexpr unsigned kFlushToZero = 1u << 15;
  const unsigned before_;
};

}  // namespace shoal::kernels
