#include "server/round_verdict.h"

#include <algorithm>
#include <cmath>

namespace shoal::server {
namespace {

// Fewer say little about what is usual.
constexpr size_t kMinRecentNorms = 16;

// 0: too few are known.
double UsualNorm(absl::Span<const float> recent_norms) {
  std::vector<float> known;
  for (float norm : recent_norms) {
    if (norm > 0) known.push_back(norm);
  }
  if (known.size() < kMinRecentNorms) return 0;
  const auto middle = known.begin() + static_cast<ptrdiff_t>((known.size() - 1) / 2);
  std::nth_element(known.begin(), middle, known.end());
  return *middle;
}

bool IsSkipped(const ShardConfig& job, const ContributionStats& stats, double norm,
               absl::Span<const float> recent_norms) {
  if (job.skip_not_finite && !(std::isfinite(norm) && std::isfinite(stats.loss()))) return true;
  const double usual = UsualNorm(recent_norms);
  return usual > 0 && norm > job.outlier_factor * usual;
}

std::vector<double> TrustRatios(const ShardConfig& job, absl::Span<const absl::Span<const double>> norms) {
  std::vector<kernels::LambNorms> sums(job.parameters.size());
  for (size_t block = 0; block < norms.size(); ++block) {
    const double* next = norms[block].data() + 1;
    for (const UpdateRange& range : job.ranges[block]) {
      if (!range.decay) continue;
      sums[range.parameter].parameters += *next++;
      sums[range.parameter].update += *next++;
    }
  }
  std::vector<double> ratios;
  for (const kernels::LambNorms& sum : sums) {
    const bool defined = sum.parameters > 0 && sum.update > 0;
    ratios.push_back(defined ? std::sqrt(sum.parameters) / std::sqrt(sum.update) : 1);
  }
  return ratios;
}

}  // namespace

RoundVerdict JudgeRound(const ShardConfig& job, const ContributionStats& stats,
                        absl::Span<const absl::Span<const double>> norms,
                        absl::Span<const float> recent_norms) {
  double total = 0;
  for (absl::Span<const double> of_block : norms) total += of_block[0];
  RoundVerdict verdict;
  const double weight = static_cast<double>(stats.weight());
  // Without weight the gradient is 0, unless the sum is not finite.
  verdict.gradient_norm =
      stats.weight() == 0 ? (std::isfinite(total) ? 0 : total) : std::sqrt(total) / weight;
  if (job.clip_norm > 0 && verdict.gradient_norm > job.clip_norm)
    verdict.clip = job.clip_norm / verdict.gradient_norm;
  verdict.skipped = IsSkipped(job, stats, verdict.gradient_norm, recent_norms);
  if (job.adapts_to_norms()) verdict.trust_ratios = TrustRatios(job, norms);
  return verdict;
}

}  // namespace shoal::server
