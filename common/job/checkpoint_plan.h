// Which versions of θ become checkpoints: a function of the job alone, so that servers and scheduler agree
// without communicating.
#pragma once

#include "common/base/types.h"
#include "common/job/schedule.h"
#include "proto/job.pb.h"

namespace shoal {

// True at checkpoint.every, at the last version, and at every evaluated version when the best is kept or the
// training may stop there. Never at version 0, whose parameters are a function of the job.
bool IsCheckpointDue(const JobSpec& job, const TrainingLength& length, Version version);

// For a due version: whether it is an evaluated one that may become the job's result.
bool IsCandidate(const JobSpec& job, const TrainingLength& length, Version version);

}  // namespace shoal
