// The job that simulations run: a made-up loss whose gradient takes microseconds, under the real optimizer,
// clipping, evaluation and checkpoints.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "common/types.h"
#include "proto/scheduler.pb.h"

namespace shoal::simulation {

// Small, so that a small model has several blocks.
inline constexpr uint64_t kSimulatedBlockElements = 16;

JobSpec SimulatedSpec();
JobPlan SimulatedPlan();

// Gradient sum of one slot: floats that need rounding, so that another order of additions would show.
ContributionStats SimulatedGradient(Round round, Slot slot, absl::Span<const float> theta,
                                    absl::Span<float> gradient);

// One evaluation slot: how well θ "classifies" the slot's examples.
EvaluationStatistics SimulatedEvaluation(EvaluationSet set, Slot slot, absl::Span<const float> theta);

}  // namespace shoal::simulation
