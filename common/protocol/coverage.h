// Which slots of a round have arrived, and their sum so far: the exactly-once rule of one block (server) or
// one layer group (worker).
//
// Rules ("A round, at a server" in docs/protocol.md). Ranges are nodes of the slot tree, so two of them are
// nested or disjoint:
//   - a contribution that is already covered by a held one is dropped: same bits, so nothing is lost;
//   - one that is an ancestor of held ones replaces them: their owner will not send the missing parts;
//   - siblings are merged as soon as both are present.
// The root's value has the same bits on every path.
#pragma once

#include <map>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/base/types.h"
#include "common/protocol/slot_tree.h"

namespace shoal {

enum class CoverageResult {
  kAdded,
  kDuplicate,  // covered already; nothing changed
};

// Pure: no clock or thread, and no state but the held values. `Value` is movable; the caller merges (it knows
// the arithmetic). Not thread-safe.
template <typename Value>
class Coverage {
 public:
  using Merge = absl::FunctionRef<Value(Value left, Value right)>;

  explicit Coverage(SlotTree tree) : tree_(tree) {}

  // What Add would do, without doing it: lets a caller skip decoding a duplicate.
  bool Covers(SlotRange range) const {
    auto it = held_.upper_bound(range.begin);
    return it != held_.begin() && (--it)->second.first.Contains(range);
  }

  // Adds `value` for `range`; merges upward. `range` must be a node of the tree (checked by the caller: see
  // SlotTree::IsNode).
  CoverageResult Add(SlotRange range, Value value, Merge merge) {
    if (Covers(range)) return CoverageResult::kDuplicate;
    EraseWithin(range);
    while (const auto sibling = tree_.Sibling(range)) {
      auto it = held_.find(sibling->begin);
      if (it == held_.end() || it->second.first != *sibling) break;
      Value other = std::move(it->second.second);
      held_.erase(it);
      const bool is_left = range.begin < sibling->begin;
      value = is_left ? merge(std::move(value), std::move(other)) : merge(std::move(other), std::move(value));
      range = *tree_.Parent(range);
    }
    held_.emplace(range.begin, std::make_pair(range, std::move(value)));
    return CoverageResult::kAdded;
  }

  bool empty() const { return held_.empty(); }
  bool complete() const { return held_.size() == 1 && held_.begin()->second.first == tree_.root(); }
  // The sum over all slots; only when complete().
  const Value& sum() const { return held_.begin()->second.second; }
  // Moves it out; only when complete(). All slots stay covered, so nothing more is added until Clear.
  Value TakeSum() { return std::move(held_.begin()->second.second); }

  // The largest ranges still missing, from left to right.
  std::vector<SlotRange> Missing() const {
    std::vector<SlotRange> out;
    uint32_t next = 0;
    for (const auto& [begin, entry] : held_) {
      if (begin > next) out.push_back({next, begin});
      next = entry.first.end;
    }
    if (next < tree_.slots()) out.push_back({next, tree_.slots()});
    return out;
  }

  void Clear() { held_.clear(); }

 private:
  void EraseWithin(SlotRange range) {
    auto it = held_.lower_bound(range.begin);
    while (it != held_.end() && range.Contains(it->second.first)) it = held_.erase(it);
  }

  SlotTree tree_;
  std::map<uint32_t, std::pair<SlotRange, Value>> held_;  // by begin; disjoint nodes of the tree
};

}  // namespace shoal
