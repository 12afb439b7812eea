// What every node checks in a job's plan, which comes over the network, before using it.
#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "common/job/schedule.h"
#include "proto/scheduler.pb.h"

namespace shoal {

// The elements of a parameter of a checked plan.
uint64_t ElementsOf(const ParameterInfo& parameter);

// What the learning rate is multiplied by for this parameter.
double RateFactor(const ParameterInfo& parameter);

TrainingLength LengthOf(const JobPlan& plan);

// Errors: INVALID_ARGUMENT when `spec` is not a complete and valid job, the parameters are not contiguous or
// their elements don't add up to those of the groups, or there are no rounds, or fewer than the warm-up.
absl::Status CheckPlan(const JobSpec& spec, const JobPlan& plan);

}  // namespace shoal
