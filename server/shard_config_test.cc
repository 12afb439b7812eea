// Which jobs and plans a server refuses.
#include "server/shard_config.h"

#include <cstdint>

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

}  // namespace
}  // namespace shoal::server
