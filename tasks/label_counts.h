// How often labels were given and were right: precision, recall and F1, as scikit-learn defines them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/types/span.h"

namespace shoal::tasks {

// Of one label against all others.
struct LabelCounts {
  uint64_t true_positive = 0;
  uint64_t false_positive = 0;
  uint64_t false_negative = 0;
};

// A row of a report. 0 where a ratio has no denominator.
struct LabelReport {
  std::string label;
  double precision = 0;
  double recall = 0;
  double f1 = 0;
  uint64_t support = 0;    // examples that have the label
  uint64_t predicted = 0;  // examples to which it was given
};

LabelReport ReportOf(const LabelCounts& counts);

// A row a label, of as many as there are counts. None when there are fewer labels than counts: they are not
// of one model.
std::vector<LabelReport> ReportsOf(absl::Span<const LabelCounts> counts,
                                   absl::Span<const std::string> labels);

// The mean of the labels' F1, labels that occur neither in truth nor in prediction left out; NaN when all
// are.
double MacroF1(absl::Span<const LabelCounts> counts);

// F1 of all decisions together.
double MicroF1(absl::Span<const LabelCounts> counts);

}  // namespace shoal::tasks
