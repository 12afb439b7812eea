#include "scheduler/view_roles.h"

#include <algorithm>

namespace shoal::scheduler {

bool HoldsShard(const View& view, NodeId node, uint32_t shard) {
  return shard < static_cast<uint32_t>(view.shards_size()) &&
         view.shards(static_cast<int>(shard)).primary().node_id() == node.value();
}

bool HoldsAnyShard(const View& view, NodeId node) {
  return std::any_of(view.shards().begin(), view.shards().end(),
                     [&](const ShardAssignment& shard) { return shard.primary().node_id() == node.value(); });
}

bool HasSlots(const View& view, NodeId node) {
  return std::any_of(view.slots().begin(), view.slots().end(),
                     [&](const SlotAssignment& slots) { return slots.worker().node_id() == node.value(); });
}

bool Contains(const std::vector<NodeRef>& nodes, const NodeRef& node) {
  return std::any_of(nodes.begin(), nodes.end(),
                     [&](const NodeRef& one) { return one.node_id() == node.node_id(); });
}

std::vector<NodeRef> Primaries(const View& view) {
  std::vector<NodeRef> primaries;
  for (const ShardAssignment& shard : view.shards()) primaries.push_back(shard.primary());
  return primaries;
}

std::vector<NodeRef> SlotWorkers(const View& view) {
  std::vector<NodeRef> workers;
  for (const SlotAssignment& slots : view.slots()) workers.push_back(slots.worker());
  return workers;
}

}  // namespace shoal::scheduler
