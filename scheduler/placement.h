// Which node does what: pure functions.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "proto/scheduler.pb.h"

namespace shoal::scheduler {

// Slots [0, S) in contiguous ranges, as equal as they can be, to the first S of `workers`, in their order.
// With a power of two of both the ranges are whole subtrees of the reduction tree.
std::vector<SlotAssignment> AssignSlots(uint32_t slots, const std::vector<NodeRef>& workers);

// Shard i to servers[i]: as many shards as there are servers, but no more than `blocks`.
std::vector<ShardAssignment> AssignShards(uint64_t blocks, const std::vector<NodeRef>& servers);

// Who could work, and what speaks against it.
struct TeamRequest {
  std::vector<NodeRef> servers;
  std::vector<NodeRef> workers;
  std::vector<NodeRef> current;                 // servers that hold the state now; empty: none does
  std::function<bool(const NodeRef&)> suspect;  // does not get on
  std::function<bool(const NodeRef&, const NodeRef&)> cut;  // one can't reach the other
};
struct Team {
  std::vector<NodeRef> servers;
  std::vector<NodeRef> workers;
  bool keeps_current = false;  // servers are those of `current`
};

// Those who shall work together: no suspect, and no worker and server, nor two servers, that are cut off from
// each other, as long as there is one such worker and server; then the suspects may help out; when even that
// does not help, everybody, as nothing is worse. Keeps the current servers when they are all right, and some
// worker can reach all of them; else the state must be restored, and as many nodes as possible take part.
Team ChooseTeam(const TeamRequest& request);

}  // namespace shoal::scheduler
