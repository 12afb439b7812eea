// Denormal numbers count as 0 while one of these lives.
#pragma once

#include <xmmintrin.h>

namespace shoal {

// Of the calling thread's SSE, AVX and AVX-512 arithmetic: denormal operands are read as 0, denormal results
// become 0 (MXCSR's DAZ and FTZ). AVX512_BF16 always works so; this makes all of the bf16 GEMM do.
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

}  // namespace shoal
