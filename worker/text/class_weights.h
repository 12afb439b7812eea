// Weights of a job's labels in its loss.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "proto/job.pb.h"

namespace shoal::worker {

// One for each label, with mean 1 over `classes`, the labels' numbers of the training examples or words
// (negative: none); empty when the job has no weights. Errors: INVALID_ARGUMENT, naming the field, for a
// label that is not one of `labels` or is named twice, and when all weights would be 0.
absl::StatusOr<std::vector<float>> ClassWeights(const LossSpec& spec, const std::vector<std::string>& labels,
                                                absl::Span<const int32_t> classes);

}  // namespace shoal::worker
