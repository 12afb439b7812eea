#include "kernels/cpu/arena.h"

#include "common/base/status.h"

namespace shoal::kernels {

void Arena::Reserve(int64_t size_bytes) {
  if (size_bytes <= size_bytes_) return;
  memory_.reset();
  size_bytes_ = 0;  // in case the allocation throws
  memory_ = AllocateLarge(size_bytes);
  size_bytes_ = size_bytes;
  ++allocations_;
}

std::byte* Arena::At(int64_t offset_bytes) const {
  SHOAL_CHECK(offset_bytes >= 0 && offset_bytes <= size_bytes_);
  return memory_.get() + offset_bytes;
}

}  // namespace shoal::kernels
