// Memory that grows to the largest size requested so far.
#pragma once

#include <cstddef>
#include <cstdint>

#include "common/base/large_memory.h"

namespace shoal::kernels {

// One aligned block of memory that only grows. Not thread-safe.
class Arena {
 public:
  Arena() = default;
  Arena(Arena&&) = default;
  Arena& operator=(Arena&&) = default;

  // Makes size_bytes() at least `size_bytes`. Contents and pointers are lost when it grows, which counts as
  // one allocation.
  void Reserve(int64_t size_bytes);
  // The byte at `offset_bytes`, which must be inside (or at the end).
  std::byte* At(int64_t offset_bytes) const;
  int64_t size_bytes() const { return size_bytes_; }
  int64_t allocations() const { return allocations_; }

 private:
  LargeMemory memory_;
  int64_t size_bytes_ = 0;
  int64_t allocations_ = 0;
};

}  // namespace shoal::kernels
