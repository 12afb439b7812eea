// Which node does what in a view.
#pragma once

#include <cstdint>
#include <vector>

#include "common/base/types.h"
#include "proto/scheduler.pb.h"

namespace shoal::scheduler {

bool HoldsShard(const View& view, NodeId node, uint32_t shard);
bool HoldsAnyShard(const View& view, NodeId node);
bool HasSlots(const View& view, NodeId node);

bool Contains(const std::vector<NodeRef>& nodes, const NodeRef& node);

// The servers, by shard.
std::vector<NodeRef> Primaries(const View& view);
// The workers, by slots.
std::vector<NodeRef> SlotWorkers(const View& view);

}  // namespace shoal::scheduler
