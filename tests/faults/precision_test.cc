// bf16 learns as well as f32: its rounding changes less than a different seed does.
#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "catch2/catch.hpp"
#include "tests/faults/test_cluster.h"

namespace shoal {
namespace {

// The mean loss of each log window, by the round that ends it.
using LossCurve = std::map<uint64_t, double>;

LossCurve LossesOf(const std::vector<std::string>& assignments) {
  TestCluster cluster({1, 2, 1});
  const JobId job = cluster.Submit(assignments);
  REQUIRE(cluster.WaitForEnd(job).state() == JOB_STATE_COMPLETED);
  LossCurve losses;
  uint64_t after = 0;
  const absl::Status status =
      cluster.client().Watch(job, &after, absl::Seconds(10), [&](const JobEvent& event) {
        if (event.has_metric()) losses[event.metric().round()] = event.metric().loss();
        return true;
      });
  REQUIRE(status.ok());
  return losses;
}

// Over the rounds at which windows of both end: evaluations end additional windows.
double MeanDistance(const LossCurve& a, const LossCurve& b) {
  double sum = 0;
  int count = 0;
  for (const auto& [round, loss] : a) {
    const auto other = b.find(round);
    if (other == b.end()) continue;
    sum += std::abs(loss - other->second);
    ++count;
  }
  REQUIRE(count > 50);
  return sum / count;
}

TEST_CASE("The loss curve in bf16 is nearer to f32's than that of another seed", "[precision]") {
  // Without the randomness of dropout, so that only rounding differs.
  const LossCurve f32 = LossesOf({"model.dropout=0"});
  const LossCurve bf16 = LossesOf({"model.dropout=0", "train.precision=bf16"});
  const LossCurve other_seed = LossesOf({"model.dropout=0", "seed=2"});
  CHECK(bf16 != f32);
  CHECK(MeanDistance(bf16, f32) < 0.5 * MeanDistance(other_seed, f32));
  CHECK(std::abs(bf16.rbegin()->second - f32.rbegin()->second) < 0.02);
}

}  // namespace
}  // namespace shoal
