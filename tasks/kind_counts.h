// Statistics of tasks that tell kinds of something apart, such as entities or relations:
// confusion[kind][true positives, false positives, false negatives], then [right labels, labels].
#pragma once

#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "proto/scheduler.pb.h"
#include "tasks/label_counts.h"

namespace shoal::tasks {

// `counts`: of each kind. `right` of `all` labels are predicted correctly.
void AddKindCounts(absl::Span<const LabelCounts> counts, uint64_t right, uint64_t all,
                   EvaluationStatistics* statistics);

// Of each kind.
std::vector<LabelCounts> KindCounts(const EvaluationStatistics& statistics);

// The fraction of labels that are right; NaN without labels.
double RightFraction(const EvaluationStatistics& statistics);

// The row of an average.
LabelReport Named(LabelReport report, const char* name);

}  // namespace shoal::tasks
