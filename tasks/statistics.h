// Statistics of an evaluation: what all tasks have in common.
#pragma once

#include "proto/scheduler.pb.h"

namespace shoal::tasks {

// left += right, whatever the task counts in it: slot by slot in order of slots, so that the sums have the
// same bits on any cluster. Both are of one job.
void AddStatistics(const EvaluationStatistics& right, EvaluationStatistics* left);

// Mean loss, of a language model that of a token. NaN without examples.
double MeanLoss(const EvaluationStatistics& statistics);

// ---- for tasks ----

// Adds 1 to `cell` of `cells` counts.
void CountCell(int cell, int cells, EvaluationStatistics* statistics);

}  // namespace shoal::tasks
