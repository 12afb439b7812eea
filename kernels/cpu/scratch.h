// Scratch memory of the threads of a pool.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/cpu/arena.h"

namespace shoal::kernels {

// Aligned to kMemoryAlignment_bytes; grows when more is requested, never shrinks.
class Scratch {
 public:
  explicit Scratch(int threads) : of_threads_(threads) {}

  // Memory of one thread of the pool (`thread` as ParallelFor passes it), at least `size_bytes`, contents
  // undefined. Valid until the next call for the same thread; kernels don't nest their use.
  std::byte* OfThread(int thread, int64_t size_bytes);
  // The same for all threads together: memory that they share inside one kernel.
  std::byte* Shared(int64_t size_bytes);

  // Gives every thread as much as the thread that has the most. Which thread takes which item varies, so in a
  // later pass a thread may need as much as another one needed in the first. Call it between kernels.
  void EvenOut();

  // Times that memory grew.
  int64_t allocations() const;

 private:
  std::vector<Arena> of_threads_;
  Arena shared_;
};

}  // namespace shoal::kernels
