#include "worker/gradient_pool.h"

#include <cstdlib>

#include "common/status.h"

namespace shoal {

GradientPool::~GradientPool() {
  for (float* buffer : free_) std::free(buffer);
}

GradientBuffer GradientPool::Acquire() {
  float* buffer = nullptr;
  {
    absl::MutexLock lock(&mutex_);
    if (!free_.empty()) {
      buffer = free_.back();
      free_.pop_back();
    } else {
      ++allocated_;
    }
  }
  if (buffer == nullptr) {
    buffer = static_cast<float*>(std::aligned_alloc(64, (elements_ * sizeof(float) + 63) / 64 * 64));
    SHOAL_CHECK(buffer != nullptr);
  }
  return GradientBuffer(buffer, [pool = shared_from_this()](float* b) { pool->Release(b); });
}

void GradientPool::Release(float* buffer) {
  absl::MutexLock lock(&mutex_);
  free_.push_back(buffer);
}

int GradientPool::allocated() const {
  absl::MutexLock lock(&mutex_);
  return allocated_;
}

}  // namespace shoal
