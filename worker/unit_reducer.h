// Reduces the gradients of slots along the slot tree on the worker, layer group by layer group while backward
// still runs.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "common/base/array_pool.h"
#include "common/base/types.h"
#include "common/protocol/slot_tree.h"
#include "proto/parameter.pb.h"

namespace shoal::worker {

// A whole gradient, flat like θ.
using GradientBuffer = FloatArray;

// A layer group's range of θ, in elements.
struct GroupRange {
  uint64_t offset = 0;
  uint64_t size = 0;
};

// Reduces the slots of one unit (a node of the slot tree), which run in order from left to right. Not
// thread-safe.
//
// The value of a leaf is its gradient rounded to the wire format; that of an inner node is
// round_to_wire(f32(left) + f32(right)), the same as a server computes from the parts.
class UnitReducer {
 public:
  struct Options {
    SlotTree tree{1};
    SlotRange unit;
    WireFormat wire = WIRE_FORMAT_F32;
    std::vector<GroupRange> groups;
    // Called when a group of a node that this worker pushes has its final value; that range of the buffer is
    // not written again. `stats` is the node's.
    std::function<void(SlotRange node, int group, const GradientBuffer& gradient,
                       const ContributionStats& stats)>
        on_final;
  };
  UnitReducer(Options options, std::shared_ptr<ArrayPool> pool);

  // The buffer for the gradient of `slot`, the next one of the unit.
  float* BeginSlot(Slot slot);
  // The forward pass of the whole slot has finished; must precede the first GroupFinal.
  void SetStats(const ContributionStats& stats);
  // The slot's gradient of `group` in the buffer is final.
  void GroupFinal(int group);
  // All groups have been final.
  void EndSlot();
  // Abandons the rest of the unit: what has been reduced so far is pushed as smaller nodes, which it returns.
  // Nodes already merged with groups of the running slot are lost with it.
  std::vector<SlotRange> Flush();

 private:
  struct Node {
    SlotRange range;
    GradientBuffer gradient;
    ContributionStats stats;
  };

  const Options options_;
  const std::shared_ptr<ArrayPool> pool_;
  uint64_t elements_ = 0;    // of a gradient
  std::vector<Node> stack_;  // reduced nodes waiting for their right sibling, left to right
  Node current_;             // the running slot
  size_t merges_ = 0;        // how many nodes of the stack the running slot completes
  bool merging_ = false;     // groups of the running slot were added to those nodes
  SlotRange result_;         // the node that the running slot completes
  ContributionStats result_stats_;
};

}  // namespace shoal::worker
