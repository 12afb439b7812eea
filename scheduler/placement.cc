#include "scheduler/placement.h"

#include <algorithm>

namespace shoal::scheduler {

std::vector<SlotAssignment> AssignSlots(uint32_t slots, const std::vector<NodeRef>& workers) {
  const uint64_t n = std::min<uint64_t>(slots, workers.size());
  std::vector<SlotAssignment> assignments(n);
  for (uint64_t i = 0; i < n; ++i) {
    *assignments[i].mutable_worker() = workers[i];
    assignments[i].set_slot_begin(static_cast<uint32_t>(slots * i / n));
    assignments[i].set_slot_end(static_cast<uint32_t>(slots * (i + 1) / n));
  }
  return assignments;
}

std::vector<ShardAssignment> AssignShards(uint64_t blocks, const std::vector<NodeRef>& servers) {
  std::vector<ShardAssignment> assignments(std::min<uint64_t>(blocks, servers.size()));
  for (size_t i = 0; i < assignments.size(); ++i) *assignments[i].mutable_primary() = servers[i];
  return assignments;
}

}  // namespace shoal::scheduler
