// Models as Hugging Face folders: config.json and the weights.
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
#include "model/weight_tensors.h"

namespace shoal::model {

// The files of a folder, beside those of the tokenizer (model/tokenizer/pretrained_tokenizer.h).
inline constexpr char kConfigFile[] = "config.json";
inline constexpr char kGenerationConfigFile[] = "generation_config.json";  // of language models
inline constexpr char kTokenizerConfigFile[] = "tokenizer_config.json";    // optional

// Errors: NOT_FOUND without a config.json; those of ParseModelConfig, with the path.
absl::StatusOr<ModelConfig> ReadModelConfig(Env* env, const std::string& folder,
                                            HeadUse use = HeadUse::kKept);

// The maximum number of tokens per example that the folder's model takes: "model_max_length" of
// tokenizer_config.json if present, and never more than `config`'s positions. Errors: INVALID_ARGUMENT, with
// the path, for a file that is not JSON, and for a length or a number of positions below 3.
absl::StatusOr<uint32_t> ReadMaxLength(Env* env, const std::string& folder, const ModelConfig& config);

// The result of reading a folder's weights.
struct LoadedWeights {
  std::vector<float> theta;
  std::vector<bool> found;          // by parameter, in the table's order; the others are 0
  std::vector<std::string> unused;  // tensors in the folder that the model does not have
  std::string head;                 // why the folder's head is not used; "": it is
};

// A parameter's values as they are in θ, from a file in which it has Hugging Face's shape. Errors:
// INVALID_ARGUMENT with both shapes when the tensor has another shape; errors of the file.
absl::StatusOr<std::vector<float>> ReadParameter(const SafetensorsReader& file, const SafetensorsEntry& entry,
                                                 const ParameterInfo& info);

// Reads the weights (weight_tensors.h). Names may lack Parameters::root, as those of bare models do. A
// missing parameter is an error, except for the head's parameters (Parameters::head_begin): they are used as
// a whole or not at all, since a job may make a new head; only what bare models have of it too (BERT's
// pooler) is used by itself. Errors: those of WeightTensors; INVALID_ARGUMENT that names the tensor with both
// shapes, or the missing parameters.
absl::StatusOr<LoadedWeights> ReadWeights(Env* env, const std::string& folder, const Parameters& parameters);

// Makes the head that was read one for `config`'s labels: the rows of its last layer are brought into their
// order by name. It is not used when the folder's model (`of`; null: its class has no head that we know)
// predicts something else, or has other labels.
void MatchHead(const ModelConfig* of, const ModelConfig& config, const Parameters& parameters,
               LoadedWeights* loaded);

// What was loaded, what is new and what is ignored, in lines for people.
std::vector<std::string> DescribeWeights(const std::string& folder, const Parameters& parameters,
                                         const LoadedWeights& loaded);

// Writes config.json, model.safetensors and, of a language model, generation_config.json; `theta` is the
// parameters in the table's order. Replaces the files durably.
absl::Status WriteModel(Env* env, const std::string& folder, const ModelConfig& config,
                        absl::Span<const float> theta);

}  // namespace shoal::model
