// What every node checks in a job's plan, which comes over the network, before using it.
#pragma once

#include "absl/status/status.h"
#include "common/job/schedule.h"
#include "proto/scheduler.pb.h"

namespace shoal {

TrainingLength LengthOf(const JobPlan& plan);

// Errors: INVALID_ARGUMENT when `spec` is not a complete and valid job, the parameters are not contiguous or
// their elements don't add up to those of the groups, or there are no rounds, or fewer than the warm-up.
absl::Status CheckPlan(const JobSpec& spec, const JobPlan& plan);

}  // namespace shoal
