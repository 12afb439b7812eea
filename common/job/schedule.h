// The learning rate of each round, and the versions at which something is due: functions of the job alone.
//
// Portable bits: only IEEE additions, multiplications, divisions and square roots in double, so every server
// computes the same learning rate. Pure functions; any thread. Jobs are completed and valid
// (common/job/job_spec.h).
#pragma once

#include <cstdint>
#include <optional>

#include "absl/status/status.h"
#include "common/base/types.h"
#include "proto/job.pb.h"

namespace shoal {

// The length of the training, known once the data has been read (JobPlan).
struct TrainingLength {
  uint64_t rounds = 0;            // of the whole training
  uint64_t rounds_per_epoch = 1;  // at least 1
};

// The rounds of train.epochs, rounded to the nearest, at least 1; or train.rounds.
TrainingLength LengthOf(const TrainSpec& train, uint64_t rounds_per_epoch);

// Rounded to the nearest; 0 for never.
uint64_t RoundsIn(const Interval& interval, uint64_t rounds_per_epoch);

// Whether the job fits the length of its training.
// Errors: INVALID_ARGUMENT when the warm-up is longer than the training.
absl::Status CheckLength(const JobSpec& job, const TrainingLength& length);

// Whether something that is due every `interval` is due at `version`: at the multiples of the interval, each
// rounded to the nearest version (so that half epochs don't drift), and at the last version. Not at version
// 0, past the end, or when the interval is never.
bool IsDue(const Interval& interval, const TrainingLength& length, Version version);

// The first due version after `version`; none when there is none.
std::optional<Version> NextDue(const Interval& interval, const TrainingLength& length, Version version);

// The learning rate of round r of R, with w rounds of warm-up, peak η and end factor e:
//   r < w          η (r+1)/w
//   constant       η
//   linear         η (e + (1-e) (R-r)/(R-w))
//   cosine         η (e + (1-e) (1 + cos(π (r-w)/(R-w)))/2)
//   inverse_sqrt   η √max(w,1) / √(r+1)                       (Vaswani et al. 2017)
// Past the end (r ≥ R) it is the rate at r = R.
double LearningRate(const JobSpec& job, const TrainingLength& length, Round round);

}  // namespace shoal
