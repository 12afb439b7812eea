// Memory for large arrays: on huge pages where the kernel provides them, which avoids most TLB misses.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace shoal {

// The minimum alignment of allocations: a cache line, and the widest vector.
inline constexpr uint64_t kMemoryAlignment_bytes = 64;
// From this size on, huge pages are requested and sizes are rounded up to a multiple of it.
inline constexpr uint64_t kHugePage_bytes = 2 << 20;

struct FreeLargeMemory {
  void operator()(std::byte* memory) const;
};
using LargeMemory = std::unique_ptr<std::byte[], FreeLargeMemory>;

// Out of memory: a std::bad_alloc that says how much was requested.
class LargeMemoryError : public std::bad_alloc {
 public:
  explicit LargeMemoryError(uint64_t size_bytes);
  const char* what() const noexcept override { return what_; }

 private:
  char what_[64];
};

// Contents undefined. Throws LargeMemoryError.
LargeMemory AllocateLarge(uint64_t size_bytes);

// RESOURCE_EXHAUSTED: "there is not enough memory for WHAT: ...", with the requested size, if that is known.
absl::Status NotEnoughMemory(const std::bad_alloc& error, absl::string_view what);

// For tests: AllocateLarge fails when this returns true. Null: never.
extern std::atomic<bool (*)(uint64_t size_bytes)> large_memory_refusal_for_test;

}  // namespace shoal
