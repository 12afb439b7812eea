// Gradients of the whole of θ: large buffers that are used again and again.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace shoal {

// 64-byte aligned. Goes back to its pool when the last owner lets go.
using GradientBuffer = std::shared_ptr<float>;

// Hands out buffers of one size; allocates only when none is free, so the steady state allocates nothing.
// Thread-safe. Must be owned by a shared_ptr; buffers keep it alive.
class GradientPool : public std::enable_shared_from_this<GradientPool> {
 public:
  explicit GradientPool(uint64_t elements) : elements_(elements) {}
  ~GradientPool();
  GradientPool(const GradientPool&) = delete;
  GradientPool& operator=(const GradientPool&) = delete;

  // Contents undefined. Out of memory aborts.
  GradientBuffer Acquire() ABSL_LOCKS_EXCLUDED(mutex_);
  uint64_t elements() const { return elements_; }
  // Buffers made so far, free ones included.
  int allocated() const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  void Release(float* buffer) ABSL_LOCKS_EXCLUDED(mutex_);

  const uint64_t elements_;
  mutable absl::Mutex mutex_;
  std::vector<float*> free_ ABSL_GUARDED_BY(mutex_);
  int allocated_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace shoal
