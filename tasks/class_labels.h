// What several tasks do with labels.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "tasks/data/example.h"

namespace shoal::tasks {

// INVALID_ARGUMENT when a record's `label` is empty.
absl::Status CheckNotEmpty(const std::string& label);

// The labels of the training examples, sorted. Errors: INVALID_ARGUMENT when there are fewer than `least`.
absl::StatusOr<std::vector<std::string>> DistinctLabels(const ExampleSet& training, size_t least);

// The probabilities of the labels of one row of logits, and the label with the largest; of equal ones, the
// first.
std::vector<float> Softmax(absl::Span<const float> logits);
int LargestLogit(absl::Span<const float> logits);
// The largest probability, with the same bits on any machine; 0 where a logit is not finite.
double LargestProbability(absl::Span<const float> logits);

}  // namespace shoal::tasks
