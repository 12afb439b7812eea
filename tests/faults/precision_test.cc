// bf16 learns as f32 does: what its roundings change is less than what another seed changes.
#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "catch2/catch.hpp"
#include "tests/faults/test_cluster.h"

namespace shoal {
namespace {

// The mean loss of each log window.
std::vector<double> LossesOf(const std::vector<std::string>& assignments) {
  TestCluster cluster({1, 2, 1});
  const JobId job = cluster.Submit(assignments);
  REQUIRE(cluster.WaitForEnd(job).state() == JOB_STATE_COMPLETED);
  std::vector<double> losses;
  uint64_t after = 0;
  const absl::Status status =
      cluster.client().Watch(job, &after, absl::Seconds(10), [&](const JobEvent& event) {
        if (event.has_metric()) losses.push_back(event.metric().loss());
        return true;
      });
  REQUIRE(status.ok());
  return losses;
}

double MeanDistance(const std::vector<double>& a, const std::vector<double>& b) {
  const size_t windows = std::min(a.size(), b.size());  // another seed splits off some examples more or less
  REQUIRE(windows > 50);
  double sum = 0;
  for (size_t i = 0; i < windows; ++i) sum += std::abs(a[i] - b[i]);
  return sum / static_cast<double>(windows);
}

TEST_CASE("The loss curve in bf16 is nearer to f32's than that of another seed", "[precision]") {
  // Without the luck of dropout, so that nothing but roundings differs.
  const std::vector<double> f32 = LossesOf({"model.dropout=0"});
  const std::vector<double> bf16 = LossesOf({"model.dropout=0", "train.precision=bf16"});
  const std::vector<double> other_seed = LossesOf({"model.dropout=0", "seed=2"});
  CHECK(bf16 != f32);
  CHECK(MeanDistance(bf16, f32) < 0.5 * MeanDistance(other_seed, f32));
  CHECK(std::abs(bf16.back() - f32.back()) < 0.02);
}

}  // namespace
}  // namespace shoal
