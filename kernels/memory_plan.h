// Planned memory: who lives when is found by a dry run, offsets are assigned once, one allocation holds all.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "common/large_memory.h"

namespace shoal {

// Alignment of every planned buffer.
inline constexpr int64_t kBufferAlignment_bytes = kMemoryAlignment_bytes;

// One buffer, alive in steps [first_step, last_step].
struct BufferLifetime {
  int64_t size_bytes = 0;
  int first_step = 0;
  int last_step = 0;
};

struct MemoryPlan {
  std::vector<int64_t> offsets;  // bytes, by index of the buffer; multiples of kBufferAlignment_bytes
  int64_t total_bytes = 0;
};

// Gives each buffer an offset such that no two that live at the same step overlap. Pure. Greedy by size,
// largest first, each at the lowest gap that fits (Pisarchyk and Lee, "Efficient Memory Management for Deep
// Neural Net Inference", 2020).
MemoryPlan PlanMemory(absl::Span<const BufferLifetime> buffers);

// Records the lifetimes of a dry run: the model walks forward and backward as it will later run, and calls
// Begin where a buffer is first written and End after its last use. Each call is a step. Not thread-safe.
class MemoryPlanner {
 public:
  using BufferId = int;

  // A buffer that is alive from now on.
  BufferId Begin(int64_t size_bytes);
  // Not used any more. Once for each buffer; one that is never ended lives to the end of the plan.
  void End(BufferId buffer);
  MemoryPlan Finish() const;
  absl::Span<const BufferLifetime> lifetimes() const { return buffers_; }

 private:
  std::vector<BufferLifetime> buffers_;
  int step_ = 0;
};

// One aligned block of memory that only grows. Not thread-safe.
class Arena {
 public:
  Arena() = default;
  Arena(Arena&&) = default;
  Arena& operator=(Arena&&) = default;

  // Makes size_bytes() at least `size_bytes`. Contents and pointers are lost when it grows, which counts as
  // one allocation.
  void Reserve(int64_t size_bytes);
  // The byte at `offset_bytes`; it must be inside.
  std::byte* At(int64_t offset_bytes) const;
  int64_t size_bytes() const { return size_bytes_; }
  int64_t allocations() const { return allocations_; }

 private:
  LargeMemory memory_;
  int64_t size_bytes_ = 0;
  int64_t allocations_ = 0;
};

}  // namespace shoal
