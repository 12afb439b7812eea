// The jobs that simulations run: a made-up loss whose gradient takes microseconds, with the real optimizers,
// clipping, wire formats, evaluation and checkpoints.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "proto/scheduler.pb.h"

namespace shoal::simulation {

// The slot of a job whose loss is not a number.
struct BadSlot {
  EvaluationSet set = EVALUATION_SET_NONE;
  uint64_t round = 0;  // in training; evaluations of all versions have it
  uint64_t slot = 0;
};

// What differs between jobs. All of it is a function of one number, so that a schedule can name a job by it.
struct MadeUpJob {
  JobSpec spec;                // completed
  JobPlan plan;                // without artifacts
  std::optional<BadSlot> bad;  // the job fails there
  bool sparse = false;         // most of a slot's gradient is zero
  // Elements of each block: a group is one block, and an empty group none.
  std::vector<uint64_t> blocks;
};

// Those from this number on want two servers and two workers.
inline constexpr uint64_t kFirstJobOfTwo = 1000;

// Number 0 has a bit of everything: clipping, AdamW, evaluation, keeping the best version.
MadeUpJob MakeUpJob(uint64_t number);

// The gradient sum of one slot: floats that need rounding, so that a different order of additions would show.
ContributionStats MadeUpGradient(const MadeUpJob& job, uint64_t round, uint64_t slot,
                                 absl::Span<const float> theta, absl::Span<float> gradient);

// The result of one evaluation slot: how well θ "classifies" the slot's examples.
EvaluationStatistics MadeUpEvaluation(const MadeUpJob& job, EvaluationSet set, uint64_t slot,
                                      absl::Span<const float> theta);

}  // namespace shoal::simulation
