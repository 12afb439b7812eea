// The expected result of a job: the training implemented a second time, one slot after another on one
// machine. It shares no code with the product except the made-up job (tests/simulation/made_up_job.h).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/simulation/made_up_job.h"

namespace shoal::simulation {

struct Reference {
  std::vector<float> kept;  // θ at the version that the job keeps
  uint64_t kept_version = 0;
  uint64_t rounds = 0;                        // rounds trained: fewer than planned when the job stops early
  std::vector<ContributionStats> stats;       // by round
  std::vector<std::vector<float>> published;  // by version: θ as workers receive it
  std::vector<std::vector<float>> averages;   // likewise, of what is evaluated if it is not θ
  std::vector<EvaluationRecord> evaluations;  // in order
  std::string failure;                        // why the job fails; empty: it is completed
};

// Pure.
Reference RunReference(const MadeUpJob& job);

// The sum of the gradients of `round` at the node [begin, end) of the slot tree.
std::vector<float> ReferenceSum(const MadeUpJob& job, const Reference& reference, uint64_t round,
                                uint64_t begin, uint64_t end);

// The squared norm of a block of such a sum.
double ReferenceSquaredNorm(const MadeUpJob& job, const std::vector<float>& sum, uint64_t block);

}  // namespace shoal::simulation
