// What contributions count for, summed along the slot tree.
#pragma once

#include "proto/parameter.pb.h"

namespace shoal {

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
