// Models as Hugging Face folders: config.json and model.safetensors.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "common/storage/file.h"
#include "common/storage/safetensors.h"
#include "model/model_config.h"
#include "model/parameters.h"

namespace shoal {

// Errors: NOT_FOUND without a config.json; as ParseModelConfig, with the path.
absl::StatusOr<ModelConfig> ReadModelConfig(Env* env, const std::string& folder);

// Tokens of an example that the folder's model takes: "model_max_length" of tokenizer_config.json where there
// is one, and never more than `config`'s positions. Errors: INVALID_ARGUMENT, with the path, for a file that
// is no JSON, and for a length or positions below 3.
absl::StatusOr<uint32_t> ReadMaxLength(Env* env, const std::string& folder, const ModelConfig& config);

// What a folder's weights gave.
struct LoadedWeights {
  std::vector<float> theta;
  std::vector<bool> found;          // by parameter, in the table's order; the others are 0
  std::vector<std::string> unused;  // tensors of the file that the model does not have
};

// A parameter's values as they stand in θ, from a file in which it has Hugging Face's shape. Errors:
// INVALID_ARGUMENT with both shapes when the tensor has another one; what the file says.
absl::StatusOr<std::vector<float>> ReadParameter(const SafetensorsReader& file, const SafetensorsEntry& entry,
                                                 const ParameterInfo& info);

// Reads model.safetensors. Names may lack Parameters::root, as those of bare models do.
// What is needed and missing is an error, but for the task's parameters (Parameters::task_begin), which a new
// task starts anew: all or nothing of them. Errors: NOT_FOUND; INVALID_ARGUMENT that names the tensor with
// both shapes, or the parameters that are missing.
absl::StatusOr<LoadedWeights> ReadWeights(Env* env, const std::string& folder, const Parameters& parameters);

// Writes config.json and model.safetensors; `theta` is the parameters in the table's order. Files are
// replaced, durably.
absl::Status WriteModel(Env* env, const std::string& folder, const ModelConfig& config,
                        absl::Span<const float> theta);

}  // namespace shoal
