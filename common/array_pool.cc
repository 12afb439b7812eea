#include "common/array_pool.h"

#include <new>

namespace shoal {
namespace {

constexpr std::align_val_t kAlignment{64};  // a cache line

}  // namespace

ArrayPool::~ArrayPool() {
  for (auto& [elements, arrays] : free_) {
    for (float* array : arrays) ::operator delete(array, kAlignment);
  }
}

FloatArray ArrayPool::Acquire(uint64_t elements) {
  float* array = nullptr;
  {
    absl::MutexLock lock(&mutex_);
    std::vector<float*>& free = free_[elements];
    if (free.empty()) {
      allocated_bytes_ += elements * sizeof(float);
    } else {
      array = free.back();
      free.pop_back();
    }
  }
  if (array == nullptr) array = static_cast<float*>(::operator new(elements * sizeof(float), kAlignment));
  return FloatArray(array, [pool = shared_from_this(), elements](float* a) { pool->Release(a, elements); });
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
