// Memory for blocks of a few different sizes.
#pragma once

#include <cstdint>
#include <memory>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"
#include "common/float_pool.h"

namespace shoal {

// One FloatPool for each size of block. Thread-safe.
class FloatPools {
 public:
  std::shared_ptr<FloatPool> Get(uint64_t elements) ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    std::shared_ptr<FloatPool>& pool = pools_[elements];
    if (pool == nullptr) pool = std::make_shared<FloatPool>(elements);
    return pool;
  }

 private:
  absl::Mutex mutex_;
  absl::flat_hash_map<uint64_t, std::shared_ptr<FloatPool>> pools_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace shoal
