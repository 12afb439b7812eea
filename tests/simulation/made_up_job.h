// The jobs that simulations run: a made-up loss whose gradient takes microseconds, with the real optimizers,
// clipping, wire formats, evaluation and checkpoints.
#pragma once

#include <cstdint>
#include <string>

#include "absl/types/span.h"
#include "proto/scheduler.pb.h"

namespace shoal::simulation {

// What differs between jobs. All of it is a function of one number, so that a schedule can name a job by it.
struct MadeUpJob {
  JobSpec spec;  // completed
  JobPlan plan;  // without artifacts
};

// Number 0 has a bit of everything: clipping, AdamW, evaluation, keeping the best version. Each group of
// parameters is one block.
MadeUpJob MakeUpJob(uint64_t number);

// The gradient sum of one slot: floats that need rounding, so that a different order of additions would show.
ContributionStats MadeUpGradient(uint64_t round, uint64_t slot, absl::Span<const float> theta,
                                 absl::Span<float> gradient);

// The result of one evaluation slot: how well θ "classifies" the slot's examples.
EvaluationStatistics MadeUpEvaluation(EvaluationSet set, uint64_t slot, absl::Span<const float> theta);

}  // namespace shoal::simulation
