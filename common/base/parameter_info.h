// What follows from a parameter's entry in a plan.
#pragma once

#include <cstdint>

#include "proto/scheduler.pb.h"

namespace shoal {

// A θ of 4 TiB.
inline constexpr uint64_t kMaxParameters = uint64_t{1} << 40;

// The number of its elements. A result above kMaxParameters means: too many to count.
uint64_t ElementsOf(const ParameterInfo& parameter);

// What the learning rate is multiplied by for it.
double RateFactor(const ParameterInfo& parameter);

}  // namespace shoal
