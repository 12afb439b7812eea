// What the states of a job mean.
#pragma once

#include "proto/scheduler.pb.h"

namespace shoal {

// Whether the job will never change again.
constexpr bool IsEnded(JobState state) {
  return state == JOB_STATE_COMPLETED || state == JOB_STATE_FAILED || state == JOB_STATE_CANCELLED;
}

}  // namespace shoal
