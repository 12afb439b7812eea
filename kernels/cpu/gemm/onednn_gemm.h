// oneDNN's matmul as one path of the GEMM: called for one block of K at a time, with accumulation, one thread
// per call. Internal to the GEMM.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "kernels/cpu/isa.h"
#include "kernels/tensor.h"

namespace shoal::kernels {

// What a cached primitive depends on.
struct MatmulShape {
  int64_t m = 0, n = 0, k = 0;
  int64_t lda = 0, ldb = 0, ldc = 0;
  bool trans_a = false, trans_b = false;
  bool add = false;        // to what C holds
  DType in = DType::kF32;  // of A and B
  DType out = DType::kF32;

  friend bool operator==(const MatmulShape& a, const MatmulShape& b) {
    return a.m == b.m && a.n == b.n && a.k == b.k && a.lda == b.lda && a.ldb == b.ldb && a.ldc == b.ldc &&
           a.trans_a == b.trans_a && a.trans_b == b.trans_b && a.add == b.add && a.in == b.in &&
           a.out == b.out;
  }
  template <typename H>
  friend H AbslHashValue(H h, const MatmulShape& s) {
    return H::combine(std::move(h), s.m, s.n, s.k, s.lda, s.ldb, s.ldc, s.trans_a, s.trans_b, s.add, s.in,
                      s.out);
  }
};

// Primitives by shape, a separate set for each thread, so that no call locks or allocates once its shape is
// known. Multiply may run on all threads at once, each with its own `thread`.
class OnednnGemm {
 public:
  // Limits oneDNN to `isa`; the limit is process-wide and oneDNN accepts it only before its first use: later
  // limits are ignored. oneDNN throws only for lack of memory, or for a shape that is our own mistake.
  OnednnGemm(int threads, Isa isa);
  ~OnednnGemm();

  // c = or += op(a) op(b) with the strides of `shape`. The whole of shape.k is one call: f32 callers pass at
  // most one block of K. Never starts a thread.
  void Multiply(int thread, const MatmulShape& shape, const void* a, const void* b, void* c);

  int64_t primitives_created() const;

 private:
  class Cache;

  std::vector<std::unique_ptr<Cache>> caches_;  // by thread
};

}  // namespace shoal::kernels
