// Memory for large arrays: on huge pages where the kernel gives them, which spares most misses of the TLB.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

namespace shoal {

// Of what is allocated, at least: a cache line and the widest vector.
inline constexpr uint64_t kMemoryAlignment_bytes = 64;
// From this size on, huge pages are asked for and sizes are rounded up to a multiple of it.
inline constexpr uint64_t kHugePage_bytes = 2 << 20;

struct FreeLargeMemory {
  void operator()(std::byte* memory) const;
};
using LargeMemory = std::unique_ptr<std::byte[], FreeLargeMemory>;

// Contents undefined. Throws std::bad_alloc.
LargeMemory AllocateLarge(uint64_t size_bytes);

}  // namespace shoal
