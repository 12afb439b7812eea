// What a job must come to: the training written down once more, one slot after the other on one machine. It
// shares no code with the product but the made-up job (tests/simulation/made_up_job.h).
#pragma once

#include <cstdint>
#include <vector>

#include "tests/simulation/made_up_job.h"

namespace shoal::simulation {

struct Reference {
  std::vector<float> kept;  // θ at the version that the job keeps
  uint64_t kept_version = 0;
  uint64_t rounds = 0;                   // that were trained: fewer than planned when the job stops early
  std::vector<ContributionStats> stats;  // by round
  std::vector<std::vector<float>> published;  // by version: θ as workers get it
  std::vector<EvaluationRecord> evaluations;  // in their order
};

// Pure.
Reference RunReference(const MadeUpJob& job);

// Of a node of the slot tree, [begin, end): what its gradients of `round` sum up to.
std::vector<float> ReferenceSum(const MadeUpJob& job, const Reference& reference, uint64_t round,
                                uint64_t begin, uint64_t end);

}  // namespace shoal::simulation
