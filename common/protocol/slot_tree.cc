#include "common/protocol/slot_tree.h"

namespace shoal {
namespace {

void CoverWithin(SlotRange node, SlotRange range, std::vector<SlotRange>* out) {
  if (!range.Overlaps(node)) return;
  if (range.Contains(node)) {
    out->push_back(node);
    return;
  }
  const uint32_t middle = SlotTree::Middle(node);
  CoverWithin({node.begin, middle}, range, out);
  CoverWithin({middle, node.end}, range, out);
}

}  // namespace

bool SlotTree::IsNode(SlotRange range) const {
  if (range.empty() || range.end > slots_) return false;
  SlotRange node = root();
  while (node != range) {
    if (node.size() == 1) return false;
    const uint32_t middle = Middle(node);
    if (range.end <= middle) {
      node.end = middle;
    } else if (range.begin >= middle) {
      node.begin = middle;
    } else {
      return false;
    }
  }
  return true;
}

std::optional<SlotRange> SlotTree::Parent(SlotRange node) const {
  SlotRange parent = root();
  if (node == parent) return std::nullopt;
  while (true) {
    const uint32_t middle = Middle(parent);
    const SlotRange half =
        node.begin < middle ? SlotRange{parent.begin, middle} : SlotRange{middle, parent.end};
    if (half == node) return parent;
    parent = half;
  }
}

std::optional<SlotRange> SlotTree::Sibling(SlotRange node) const {
  const std::optional<SlotRange> parent = Parent(node);
  if (!parent) return std::nullopt;
  const uint32_t middle = Middle(*parent);
  return node.begin == parent->begin ? SlotRange{middle, parent->end} : SlotRange{parent->begin, middle};
}

std::vector<SlotRange> SlotTree::Cover(SlotRange range) const {
  std::vector<SlotRange> out;
  if (!range.empty()) CoverWithin(root(), range, &out);
  return out;
}

}  // namespace shoal
