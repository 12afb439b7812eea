#include "worker/unit_reducer.h"

#include "absl/types/span.h"
#include "common/base/wire.h"
#include "common/protocol/contribution_stats.h"

namespace shoal::worker {

UnitReducer::UnitReducer(Options options, std::shared_ptr<ArrayPool> pool)
    : options_(std::move(options)), pool_(std::move(pool)) {
  for (const GroupRange& group : options_.groups) elements_ += group.size;
}

float* UnitReducer::BeginSlot(Slot slot) {
  const auto begin = static_cast<uint32_t>(slot.value());
  current_ = {{begin, begin + 1}, pool_->Acquire(elements_), {}};
  result_ = current_.range;
  merges_ = 0;
  merging_ = false;
  // A right child completes its parent, whose left child is the top of the stack.
  while (result_ != options_.unit) {
    const SlotRange parent = *options_.tree.Parent(result_);
    if (parent.begin == result_.begin) break;
    ++merges_;
    result_ = parent;
  }
  return current_.gradient.get();
}

void UnitReducer::SetStats(const ContributionStats& stats) {
  current_.stats = stats;
  result_stats_ = stats;
  for (size_t i = 0; i < merges_; ++i) {
    result_stats_ = AddStats(stack_[stack_.size() - 1 - i].stats, result_stats_);
  }
}

void UnitReducer::GroupFinal(int group) {
  const GroupRange& range = options_.groups[group];
  GradientBuffer value = current_.gradient;
  merging_ = true;
  RoundToWire(options_.wire, absl::MakeSpan(value.get() + range.offset, range.size));
  for (size_t i = 0; i < merges_; ++i) {
    const GradientBuffer& left = stack_[stack_.size() - 1 - i].gradient;
    AddRoundToWire(options_.wire, absl::MakeConstSpan(left.get() + range.offset, range.size),
                   absl::MakeConstSpan(value.get() + range.offset, range.size),
                   absl::MakeSpan(left.get() + range.offset, range.size));
    value = left;
  }
  if (result_ == options_.unit) options_.on_final(result_, group, value, result_stats_);
}

void UnitReducer::EndSlot() {
  Node node = {result_, current_.gradient, result_stats_};
  for (size_t i = 0; i < merges_; ++i) {
    node.gradient = stack_.back().gradient;
    stack_.pop_back();
  }
  current_ = Node();
  merging_ = false;
  if (result_ != options_.unit) stack_.push_back(std::move(node));
}

std::vector<SlotRange> UnitReducer::Flush() {
  std::vector<SlotRange> nodes;
  if (merging_) stack_.resize(stack_.size() - merges_);
  for (const Node& node : stack_) {
    for (size_t group = 0; group < options_.groups.size(); ++group) {
      options_.on_final(node.range, static_cast<int>(group), node.gradient, node.stats);
    }
    nodes.push_back(node.range);
  }
  stack_.clear();
  current_ = Node();
  merging_ = false;
  return nodes;
}

}  // namespace shoal::worker
