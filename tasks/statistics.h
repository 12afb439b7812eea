// The statistics of an evaluation that all tasks share.
#pragma once

#include <cstdint>
#include <map>

#include "proto/scheduler.pb.h"

namespace shoal::tasks {

// left += right, whatever the task counts in them. Call it slot by slot in order of slots, so that the sums
// have the same bits on any cluster. Both must be of the same job.
void AddStatistics(const EvaluationStatistics& right, EvaluationStatistics* left);

// The mean loss, per predicted token where predictions are for tokens. NaN without examples.
double MeanLoss(const EvaluationStatistics& statistics);

// ---- for tasks ----

// Adds 1 to count `cell` of the `cells` counts in `confusion`.
void CountCell(int cell, int cells, EvaluationStatistics* statistics);

// Of the results with one key the one with the highest score; of equal ones, the first.
std::map<uint64_t, ScoredResult> BestResults(const EvaluationStatistics& statistics);

}  // namespace shoal::tasks
