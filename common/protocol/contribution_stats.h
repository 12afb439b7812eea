// What contributions count for, summed along the slot tree.
#pragma once

#include <cstdint>

#include "proto/parameter.pb.h"

namespace shoal {

// Servers keep the statistics of so many of the last rounds, for a scheduler that was stopped; one that runs
// stores what it has got at least every kMaxRoundsUnstored rounds. So none are lost, as long as it is back
// before the servers have gone on for the difference.
inline constexpr uint64_t kRoundStatisticsKept = 10000;
inline constexpr uint64_t kMaxRoundsUnstored = 200;
static_assert(2 * kMaxRoundsUnstored <= kRoundStatisticsKept);

// left + right: of a node of the slot tree, so the loss has the same bits however slots are spread.
inline ContributionStats AddStats(const ContributionStats& left, const ContributionStats& right) {
  ContributionStats sum;
  sum.set_weight(left.weight() + right.weight());
  sum.set_tokens(left.tokens() + right.tokens());
  sum.set_loss(left.loss() + right.loss());
  sum.set_examples(left.examples() + right.examples());
  return sum;
}

}  // namespace shoal
