// Memory for parameters, sums and moments, reused through a pool.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"
#include "common/base/large_memory.h"

namespace shoal {

// An array of float32, 64-byte aligned, that returns to its pool when its last owner releases it.
using FloatArray = std::shared_ptr<float>;

// Allocates only when no free array has the requested size, so the steady state makes no large allocation.
// Arrays of at least 128 KiB whose size divides a huge page (blocks) share pages with others of their size.
// Thread-safe; arrays may be released by any thread.
class ArrayPool : public std::enable_shared_from_this<ArrayPool> {
 public:
  static std::shared_ptr<ArrayPool> Create() { return std::shared_ptr<ArrayPool>(new ArrayPool()); }
  ArrayPool(const ArrayPool&) = delete;
  ArrayPool& operator=(const ArrayPool&) = delete;

  // Contents undefined. Arrays keep the pool alive. Throws LargeMemoryError, with no other effect.
  FloatArray Acquire(uint64_t elements) ABSL_LOCKS_EXCLUDED(mutex_);

  // Memory of all arrays, in use or free.
  uint64_t allocated_bytes() const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  ArrayPool() = default;
  void Release(float* array, uint64_t elements) ABSL_LOCKS_EXCLUDED(mutex_);

  // Adds one or more new arrays of this size to `free`, the free arrays of this size.
  void Allocate(uint64_t elements, std::vector<float*>* free) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  mutable absl::Mutex mutex_;
  std::vector<LargeMemory> memory_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<uint64_t, std::vector<float*>> free_ ABSL_GUARDED_BY(mutex_);  // by size
  uint64_t allocated_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace shoal
