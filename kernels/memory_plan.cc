#include "kernels/memory_plan.h"

#include <algorithm>
#include <numeric>

namespace shoal::kernels {
namespace {

int64_t Align(int64_t size_bytes) {
  constexpr auto kAlignment_bytes = static_cast<int64_t>(kMemoryAlignment_bytes);
  return (size_bytes + kAlignment_bytes - 1) / kAlignment_bytes * kAlignment_bytes;
}

bool LiveTogether(const BufferLifetime& a, const BufferLifetime& b) {
  return a.first_step <= b.last_step && b.first_step <= a.last_step;
}

// Indices by size, largest first; equal sizes in order, so that the plan is a function of its input.
std::vector<int> LargestFirst(absl::Span<const BufferLifetime> buffers) {
  std::vector<int> order(buffers.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](int a, int b) { return buffers[a].size_bytes > buffers[b].size_bytes; });
  return order;
}

struct Placed {
  int64_t offset = 0;
  int buffer = 0;
};

// The lowest offset where `buffer` overlaps none of `placed` (sorted by offset) that is alive at the same
// time.
int64_t LowestGap(absl::Span<const BufferLifetime> buffers, const std::vector<Placed>& placed, int buffer) {
  int64_t offset = 0;
  for (const Placed& other : placed) {
    if (!LiveTogether(buffers[other.buffer], buffers[buffer])) continue;
    if (offset + Align(buffers[buffer].size_bytes) <= other.offset) break;
    offset = std::max(offset, other.offset + Align(buffers[other.buffer].size_bytes));
  }
  return offset;
}

}  // namespace

MemoryPlan PlanMemory(absl::Span<const BufferLifetime> buffers) {
  MemoryPlan plan;
  plan.offsets.resize(buffers.size());
  std::vector<Placed> placed;
  for (int buffer : LargestFirst(buffers)) {
    const int64_t offset = LowestGap(buffers, placed, buffer);
    plan.offsets[buffer] = offset;
    plan.total_bytes = std::max(plan.total_bytes, offset + Align(buffers[buffer].size_bytes));
    const auto after = std::upper_bound(placed.begin(), placed.end(), offset,
                                        [](int64_t value, const Placed& p) { return value < p.offset; });
    placed.insert(after, Placed{offset, buffer});
  }
  return plan;
}

}  // namespace shoal::kernels
