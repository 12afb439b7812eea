// Models as Hugging Face folders: config.json and model.safetensors.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "common/file.h"
#include "model/model_config.h"
#include "model/parameters.h"

namespace shoal {

// Errors: NOT_FOUND without a config.json; as ParseModelConfig, with the path.
absl::StatusOr<ModelConfig> ReadModelConfig(Env* env, const std::string& folder);

// What a folder's weights gave.
struct LoadedWeights {
  std::vector<float> theta;
  std::vector<bool> found;          // by parameter, in the table's order; the others are 0
  std::vector<std::string> unused;  // tensors of the file that the model does not have
};

// Reads model.safetensors. Names may lack the architecture's prefix ("bert."), as those of bare encoders do.
// What is needed and missing is an error, but for the head (the last group), which a new task starts anew:
// all or nothing of it. Errors: NOT_FOUND; INVALID_ARGUMENT that names the tensor with both shapes, or the
// parameters that are missing.
absl::StatusOr<LoadedWeights> ReadWeights(Env* env, const std::string& folder, const Parameters& parameters);

// Writes config.json and model.safetensors; `theta` is the parameters in the table's order. Files are
// replaced, durably.
absl::Status WriteModel(Env* env, const std::string& folder, const ModelConfig& config,
                        absl::Span<const float> theta);

}  // namespace shoal
