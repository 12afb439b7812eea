// Which jobs and plans a server refuses.
#include "server/shard_config.h"

#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "catch2/catch.hpp"
#include "server/shard_core_harness.h"

namespace shoal::server {
namespace {

TEST_CASE("An inconsistent plan is refused") {
  JobPlan plan = Plan();
  plan.mutable_parameters(1)->set_offset(41);
  CHECK(absl::IsInvalidArgument(MakeShardConfig(JobId(1), Spec(0), plan).status()));
  plan = Plan();
  plan.set_group_sizes(0, 50);
  CHECK(absl::IsInvalidArgument(MakeShardConfig(JobId(1), Spec(0), plan).status()));
  plan = Plan();
  plan.mutable_parameters(0)->add_shape(uint64_t{1} << 60);
  CHECK(absl::IsInvalidArgument(MakeShardConfig(JobId(1), Spec(0), plan).status()));
  plan = Plan();
  plan.mutable_parameters(0)->set_shape(0, 0);
  plan.mutable_parameters(0)->add_shape(3);
  CHECK(absl::IsInvalidArgument(MakeShardConfig(JobId(1), Spec(0), plan).status()));
  plan = Plan();
  plan.add_group_sizes(~uint64_t{0});
  CHECK(absl::IsInvalidArgument(MakeShardConfig(JobId(1), Spec(0), plan).status()));
  plan = Plan();
  plan.set_rounds(0);
  CHECK(absl::IsInvalidArgument(MakeShardConfig(JobId(1), Spec(0), plan).status()));
  CHECK(absl::IsInvalidArgument(MakeShardConfig(JobId(1), Spec(0), JobPlan()).status()));
  JobSpec spec = Spec(0);
  spec.mutable_train()->set_slots(0);
  CHECK(absl::IsInvalidArgument(MakeShardConfig(JobId(1), spec, Plan()).status()));
  spec = Spec(0);
  spec.mutable_train()->set_wire(static_cast<WireFormat>(7));
  CHECK(absl::IsInvalidArgument(MakeShardConfig(JobId(1), spec, Plan()).status()));
  CHECK(absl::IsInvalidArgument(MakeShardConfig(JobId(1), JobSpec(), Plan()).status()));
  plan = Plan();
  plan.add_group_sizes(0);  // no block
  CHECK(MakeShardConfig(JobId(1), Spec(0), plan).ok());
}

TEST_CASE("A block is cut where weight decay or the learning rate changes") {
  JobPlan plan = Plan();
  plan.clear_parameters();
  plan.clear_group_sizes();
  const auto add = [&](uint64_t size, bool decay, double rate_factor) {
    ParameterInfo& info = *plan.add_parameters();
    info.set_name(std::to_string(plan.parameters_size()));
    info.add_shape(size);
    info.set_offset(plan.parameters_size() == 1 ? 0 : plan.group_sizes(0));
    info.set_decay(decay);
    if (rate_factor != 1 || decay) info.set_rate_factor(rate_factor);  // unset: 1
    if (plan.group_sizes().empty()) plan.add_group_sizes(0);
    plan.set_group_sizes(0, plan.group_sizes(0) + size);
  };
  add(10, true, 1);
  add(20, true, 1);
  add(30, false, 1);
  add(40, false, 0.5);
  const auto job = MakeShardConfig(JobId(1), Spec(0), plan);
  REQUIRE(job.ok());
  REQUIRE((*job)->blocks.size() == 1);
  const std::vector<UpdateRange>& ranges = (*job)->ranges[0];
  REQUIRE(ranges.size() == 3);
  CHECK((ranges[0].begin == 0 && ranges[0].end == 30 && ranges[0].decay && ranges[0].rate_factor == 1));
  CHECK((ranges[1].begin == 30 && ranges[1].end == 60 && !ranges[1].decay && ranges[1].rate_factor == 1));
  CHECK((ranges[2].begin == 60 && ranges[2].end == 100 && !ranges[2].decay && ranges[2].rate_factor == 0.5));
  plan.add_class_weights(-1);
  CHECK(absl::IsInvalidArgument(MakeShardConfig(JobId(1), Spec(0), plan).status()));
  plan.clear_class_weights();
  for (double bad : {-1.0, 0.0, std::nan(""), 1e300}) {
    plan.mutable_parameters(0)->set_rate_factor(bad);
    CHECK(absl::IsInvalidArgument(MakeShardConfig(JobId(1), Spec(0), plan).status()));
  }
}

}  // namespace
}  // namespace shoal::server
