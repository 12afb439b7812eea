// Planned memory: buffers that are never alive together share memory. Offsets are assigned once, and one
// allocation holds all buffers.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "common/base/large_memory.h"

namespace shoal::kernels {

// One buffer, alive in steps [first_step, last_step].
struct BufferLifetime {
  int64_t size_bytes = 0;
  int first_step = 0;
  int last_step = 0;
};

struct MemoryPlan {
  std::vector<int64_t> offsets;  // bytes, by index of the buffer; multiples of kMemoryAlignment_bytes
  int64_t total_bytes = 0;
};

// Gives each buffer an offset such that no two buffers alive at the same step overlap. Pure. Greedy by size:
// largest first, each in the lowest gap that fits (Pisarchyk and Lee, "Efficient Memory Management for Deep
// Neural Net Inference", 2020).
MemoryPlan PlanMemory(absl::Span<const BufferLifetime> buffers);

}  // namespace shoal::kernels
