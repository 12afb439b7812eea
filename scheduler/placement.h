// Which node does what: pure functions.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "proto/scheduler.pb.h"

namespace shoal::scheduler {

// Assigns slots [0, S), in contiguous ranges as equal as possible, to the first S of `workers`, in order. If
// both numbers are powers of two, the ranges are whole subtrees of the slot tree.
std::vector<SlotAssignment> AssignSlots(uint32_t slots, const std::vector<NodeRef>& workers);

// Assigns shard i to servers[i]: as many shards as there are servers, but at most `blocks`.
std::vector<ShardAssignment> AssignShards(uint64_t blocks, const std::vector<NodeRef>& servers);

// The nodes that could work, and reasons not to use them.
struct TeamRequest {
  std::vector<NodeRef> servers;
  std::vector<NodeRef> workers;
  std::vector<NodeRef> current;                             // servers that hold the state now; empty: none
  std::function<bool(const NodeRef&)> suspect;              // makes no progress
  std::function<bool(const NodeRef&, const NodeRef&)> cut;  // one can't reach the other
};
struct Team {
  std::vector<NodeRef> servers;
  std::vector<NodeRef> workers;
  bool keeps_current = false;  // servers are those of `current`
};

// Chooses the nodes that work together: no suspects, and no worker and server, nor two servers, that are cut
// off from each other, as long as at least one worker and one server remain. Failing that, suspects may help
// out; failing even that, all workers take part, with the current servers or, if there are none, with all
// servers. Keeps the current servers if they are all fine and some worker can reach all of them; otherwise
// the state must be restored, and as many nodes as possible take part.
Team ChooseTeam(const TeamRequest& request);

}  // namespace shoal::scheduler
