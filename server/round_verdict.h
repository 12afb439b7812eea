// What the norms of a round decide: how the gradient is scaled, or that the round is skipped.
#pragma once

#include <limits>
#include <vector>

#include "absl/types/span.h"
#include "proto/parameter.pb.h"
#include "server/shard_config.h"

namespace shoal::server {

struct RoundVerdict {
  // Of the mean gradient before clipping; NaN when norms are not exchanged, or it is not a number.
  double gradient_norm = std::numeric_limits<double>::quiet_NaN();
  double clip = 1;  // factor for the gradient
  // The next version has the bits of this one; what is kept beside θ does not change either.
  bool skipped = false;
  std::vector<double> trust_ratios;  // with LAMB: by parameter
};

// `norms`: the squared norms of each of the job's blocks (NormCount), in order; `stats`: of the round;
// `recent_norms`: as a block keeps them, or empty. Pure: all servers come to the same verdict, bit for bit.
RoundVerdict JudgeRound(const ShardConfig& job, const ContributionStats& stats,
                        absl::Span<const absl::Span<const double>> norms,
                        absl::Span<const float> recent_norms);

}  // namespace shoal::server
