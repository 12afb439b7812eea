#include "common/job/checkpoint_plan.h"

namespace shoal {

bool IsCheckpointDue(const JobSpec& job, const TrainingLength& length, Version version) {
  if (version.value() == 0 || version.value() > length.rounds) return false;
  if (version.value() == length.rounds) return true;
  return IsDue(job.checkpoint().every(), length, version) || IsCandidate(job, length, version);
}

bool IsCandidate(const JobSpec& job, const TrainingLength& length, Version version) {
  const bool evaluation_chooses = job.evaluation().keep_best() || job.evaluation().patience() > 0;
  return evaluation_chooses && IsDue(job.evaluation().every(), length, version);
}

}  // namespace shoal
