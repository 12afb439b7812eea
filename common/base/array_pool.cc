#include "common/base/array_pool.h"

namespace shoal {

FloatArray ArrayPool::Acquire(uint64_t elements) {
  absl::MutexLock lock(&mutex_);
  std::vector<float*>& free = free_[elements];
  if (free.empty()) Allocate(elements, &free);
  float* const array = free.back();
  free.pop_back();
  return FloatArray(array, [pool = shared_from_this(), elements](float* a) { pool->Release(a, elements); });
}

void ArrayPool::Allocate(uint64_t elements, std::vector<float*>* free) {
  const uint64_t bytes = elements * sizeof(float);
  // A small array is allocated alone: few are alive, and most of a shared page would be unused.
  constexpr uint64_t kLeastShared_bytes = kHugePage_bytes / 16;
  const bool shared = bytes >= kLeastShared_bytes && kHugePage_bytes % bytes == 0;
  const uint64_t arrays = shared ? kHugePage_bytes / bytes : 1;
  memory_.push_back(AllocateLarge(arrays * bytes));
  allocated_bytes_ += arrays * bytes;
  auto* const first = reinterpret_cast<float*>(memory_.back().get());
  for (uint64_t i = arrays; i-- > 0;) free->push_back(first + i * elements);
}

void ArrayPool::Release(float* array, uint64_t elements) {
  absl::MutexLock lock(&mutex_);
  free_[elements].push_back(array);
}

uint64_t ArrayPool::allocated_bytes() const {
  absl::MutexLock lock(&mutex_);
  return allocated_bytes_;
}

}  // namespace shoal
