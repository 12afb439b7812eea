// What evaluation statistics come to.
#pragma once

#include <cstdint>
#include <vector>

#include "proto/job.pb.h"
#include "proto/scheduler.pb.h"

namespace shoal {

// left += right: slot by slot in order of slots, so that the sums have the same bits on any cluster. Both are
// of one job.
void AddStatistics(const EvaluationStatistics& right, EvaluationStatistics* left);

// Mean loss, of a language model that of a token. NaN without examples.
double MeanLoss(const EvaluationStatistics& statistics);

// The metric's value. NaN where it has none (no example; Pearson's correlation of constants).
//   accuracy   right / all; of multi-label: examples x labels
//   macro_f1   mean of the labels' F1, labels that occur neither in truth nor in prediction left out
//   micro_f1   F1 of all decisions together
//   perplexity e to the mean loss
double MetricValue(TaskType task, Metric metric, const EvaluationStatistics& statistics);

// Of one label. 0 where a ratio has no denominator, as scikit-learn has it.
struct LabelReport {
  double precision = 0;
  double recall = 0;
  double f1 = 0;
  uint64_t support = 0;    // examples that have the label
  uint64_t predicted = 0;  // examples to which it was given
};

// Of classification tasks, in order of labels; empty with the others.
std::vector<LabelReport> LabelReports(TaskType task, const EvaluationStatistics& statistics);

}  // namespace shoal
