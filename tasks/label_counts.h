// How often labels were predicted, and correctly: precision, recall and F1 as scikit-learn defines them with
// zero_division=nan. (Its default, 0, would make a label without examples look like one that is never found.)
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/types/span.h"

namespace shoal::tasks {

// Counts of one label against all others.
struct LabelCounts {
  uint64_t true_positive = 0;
  uint64_t false_positive = 0;
  uint64_t false_negative = 0;
};

// A row of a report.
struct LabelReport {
  std::string label;
  double precision = 0;    // NaN if the label was never predicted
  double recall = 0;       // NaN if no example has it
  double f1 = 0;           // NaN if both
  uint64_t support = 0;    // examples that have the label
  uint64_t predicted = 0;  // examples for which it was predicted
};

// The table of a report.
struct LabelTable {
  std::vector<LabelReport> labels;
  std::vector<LabelReport> averages;  // over them; their `label` says which
};

LabelReport ReportOf(const LabelCounts& counts);

// One row for each of the counts. Empty when there are fewer labels than counts: they belong to different
// models.
std::vector<LabelReport> ReportsOf(absl::Span<const LabelCounts> counts,
                                   absl::Span<const std::string> labels);

// Averages over the labels, as in the last rows of scikit-learn's and seqeval's classification_report: labels
// with neither examples nor predictions are left out, and ratios that the others lack count as 0. `support`
// and `predicted` are the sums. A ratio is NaN where the average is over nothing.
LabelReport MicroAverage(absl::Span<const LabelCounts> counts);     // of all decisions together
LabelReport MacroAverage(absl::Span<const LabelCounts> counts);     // each label counts the same
LabelReport WeightedAverage(absl::Span<const LabelCounts> counts);  // each label counts by its support

// The mean of the labels' F1, without labels that have none; NaN when none is left.
double MacroF1(absl::Span<const LabelCounts> counts);

// F1 of all decisions together; NaN without a label in truth or prediction.
double MicroF1(absl::Span<const LabelCounts> counts);

}  // namespace shoal::tasks
