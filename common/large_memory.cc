#include "common/large_memory.h"

#include <sys/mman.h>

#include <cstdlib>
#include <new>

namespace shoal {

void FreeLargeMemory::operator()(std::byte* memory) const { std::free(memory); }

LargeMemory AllocateLarge(uint64_t size_bytes) {
  const uint64_t alignment = size_bytes >= kHugePage_bytes ? kHugePage_bytes : kMemoryAlignment_bytes;
  const uint64_t rounded_bytes = (size_bytes + alignment - 1) / alignment * alignment;
  LargeMemory memory(static_cast<std::byte*>(std::aligned_alloc(alignment, rounded_bytes)));
  if (memory == nullptr && rounded_bytes > 0) throw std::bad_alloc();
  // A kernel without huge pages says no, which costs only time.
  if (alignment == kHugePage_bytes) madvise(memory.get(), rounded_bytes, MADV_HUGEPAGE);
  return memory;
}

}  // namespace shoal
