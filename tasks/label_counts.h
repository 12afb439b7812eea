// How often labels were predicted, and correctly: precision, recall and F1 as scikit-learn defines them.
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

// A row of a report. A ratio whose denominator is 0 is 0.
struct LabelReport {
  std::string label;
  double precision = 0;
  double recall = 0;
  double f1 = 0;
  uint64_t support = 0;    // examples that have the label
  uint64_t predicted = 0;  // examples for which it was predicted
};

LabelReport ReportOf(const LabelCounts& counts);

// One row for each of the counts. Empty when there are fewer labels than counts: they belong to different
// models.
std::vector<LabelReport> ReportsOf(absl::Span<const LabelCounts> counts,
                                   absl::Span<const std::string> labels);

// The mean of the labels' F1, without labels that occur in neither truth nor prediction; NaN when none is
// left.
double MacroF1(absl::Span<const LabelCounts> counts);

// F1 of all decisions together.
double MicroF1(absl::Span<const LabelCounts> counts);

}  // namespace shoal::tasks
