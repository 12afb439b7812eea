// The statistics of contributions, summed along the slot tree.
#pragma once

#include <cstdint>

#include "proto/parameter.pb.h"

namespace shoal {

// Servers keep the statistics of the last kRoundStatisticsKept rounds, for a scheduler that was stopped; a
// running scheduler stores what it has received at least every kMaxRoundsUnstored rounds. So none are lost if
// it is back before the servers have run as many rounds as the two numbers differ by.
inline constexpr uint64_t kRoundStatisticsKept = 10000;
inline constexpr uint64_t kMaxRoundsUnstored = 200;
static_assert(2 * kMaxRoundsUnstored <= kRoundStatisticsKept);

// left + right, for a node of the slot tree: so the loss has the same bits however slots are distributed.
inline ContributionStats AddStats(const ContributionStats& left, const ContributionStats& right) {
  ContributionStats sum;
  sum.set_weight(left.weight() + right.weight());
  sum.set_tokens(left.tokens() + right.tokens());
  sum.set_loss(left.loss() + right.loss());
  sum.set_examples(left.examples() + right.examples());
  return sum;
}

}  // namespace shoal
