// The reduction tree: slots are the leaves of a fixed balanced binary tree, made by halving [0, S)
// recursively.
//
// The tree is part of a job's numerics: the value of a node is round_to_wire(f32(left) + f32(right)), so a
// sum over slots has the same bits whoever computed which part. Ranges of slots in messages are always nodes
// of the tree, hence nested or disjoint.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "common/base/types.h"

namespace shoal {

// Pure and immutable. O(log S) per call.
class SlotTree {
 public:
  // `slots` >= 1.
  explicit SlotTree(uint32_t slots) : slots_(slots) {}

  uint32_t slots() const { return slots_; }
  SlotRange root() const { return {0, slots_}; }

  // True when `range` is a node of this tree. Safe with any input.
  bool IsNode(SlotRange range) const;

  // Where an inner node is halved. The left half is the smaller one when they differ.
  static uint32_t Middle(SlotRange node) { return node.begin + node.size() / 2; }

  // Nullopt for the root.
  std::optional<SlotRange> Parent(SlotRange node) const;
  std::optional<SlotRange> Sibling(SlotRange node) const;

  // The fewest nodes whose disjoint union is `range` (any sub-range of [0, S)), from left to right.
  std::vector<SlotRange> Cover(SlotRange range) const;

 private:
  uint32_t slots_;
};

}  // namespace shoal
