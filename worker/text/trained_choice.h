// Which parameters of its model a job trains, and how fast.
#pragma once

#include <vector>

#include "absl/status/statusor.h"
#include "model/parameters.h"
#include "proto/job.pb.h"

namespace shoal::worker {

// For each of parameters.infos, whether it trains: of train.freeze the rest; with low-rank additions those
// and the head. Errors: INVALID_ARGUMENT, naming the field, for a layer that the model does not have.
absl::StatusOr<std::vector<bool>> ChooseTrained(const JobSpec& spec, const model::Parameters& parameters);

// Sets rate_factor of all infos: that of optimizer.layer_decay, or for the head that of
// optimizer.head_learning_rate.
void SetRateFactors(const JobSpec& spec, model::Parameters* parameters);

}  // namespace shoal::worker
