// Which node does what: pure functions.
#pragma once

#include <cstdint>
#include <vector>

#include "proto/scheduler.pb.h"

namespace shoal::scheduler {

// Slots [0, S) in contiguous ranges, as equal as they can be, to the first S of `workers`, in their order.
// With a power of two of both the ranges are whole subtrees of the reduction tree.
std::vector<SlotAssignment> AssignSlots(uint32_t slots, const std::vector<NodeRef>& workers);

// Shard i to servers[i]: as many shards as there are servers, but no more than `blocks`.
std::vector<ShardAssignment> AssignShards(uint64_t blocks, const std::vector<NodeRef>& servers);

}  // namespace shoal::scheduler
