#include "common/base/large_memory.h"

#include <sys/mman.h>

#include <cstdio>
#include <cstdlib>

#include "absl/strings/str_cat.h"

namespace shoal {

std::atomic<bool (*)(uint64_t size_bytes)> large_memory_refusal_for_test{nullptr};

LargeMemoryError::LargeMemoryError(uint64_t size_bytes) {
  std::snprintf(what_, sizeof(what_), "can't allocate %.1f MiB", static_cast<double>(size_bytes) / (1 << 20));
}

absl::Status NotEnoughMemory(const std::bad_alloc& error, absl::string_view what) {
  const auto* const large = dynamic_cast<const LargeMemoryError*>(&error);
  return absl::ResourceExhaustedError(absl::StrCat("there is not enough memory for ", what,
                                                   large == nullptr ? "" : ": ",
                                                   large == nullptr ? "" : large->what()));
}

void FreeLargeMemory::operator()(std::byte* memory) const { std::free(memory); }

LargeMemory AllocateLarge(uint64_t size_bytes) {
  const uint64_t alignment = size_bytes >= kHugePage_bytes ? kHugePage_bytes : kMemoryAlignment_bytes;
  const uint64_t rounded_bytes = (size_bytes + alignment - 1) / alignment * alignment;
  const auto refuses = large_memory_refusal_for_test.load(std::memory_order_relaxed);
  if (refuses != nullptr && refuses(size_bytes)) throw LargeMemoryError(size_bytes);
  LargeMemory memory(static_cast<std::byte*>(std::aligned_alloc(alignment, rounded_bytes)));
  if (memory == nullptr && rounded_bytes > 0) throw LargeMemoryError(size_bytes);
  // A kernel without huge pages refuses, which costs only speed.
  if (alignment == kHugePage_bytes) madvise(memory.get(), rounded_bytes, MADV_HUGEPAGE);
  return memory;
}

}  // namespace shoal
