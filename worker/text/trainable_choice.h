// Which parameters of its model a job trains, and how fast.
#pragma once

#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "model/parameters.h"
#include "proto/job.pb.h"

namespace shoal::worker {

// For each of parameters.infos, whether it trains: all but those of train.freeze, or with low-rank additions
// only these; and the head. Errors: INVALID_ARGUMENT, naming the field, for a layer that the model does not
// have, and when none trains.
absl::StatusOr<std::vector<bool>> ChooseTrainable(const JobSpec& spec, const model::Parameters& parameters);

// Sets rate_factor of all infos: that of optimizer.layer_decay, or for the head that of
// optimizer.head_learning_rate. Errors: INVALID_ARGUMENT when the embeddings would hardly learn.
absl::Status SetRateFactors(const JobSpec& spec, model::Parameters* parameters);

}  // namespace shoal::worker
