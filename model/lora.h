// Models with low-rank additions (LoRA; Hu et al., 2021), as other programs read them: the additions put into
// the model, or alone, in PEFT's layout.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "common/storage/file.h"
#include "model/model_config.h"
#include "proto/job.pb.h"

namespace shoal::model {

// The files of PEFT's layout.
inline constexpr char kAdapterConfigFile[] = "adapter_config.json";
inline constexpr char kAdapterWeightsFile[] = "adapter_model.safetensors";

// What a job asks for.
LoraConfig LoraOf(const LoraSpec& spec);

// Errors: INVALID_ARGUMENT for a target that no linear map of a checked config's layers has, with those that
// there are.
absl::Status CheckLoraTargets(const ModelConfig& config);

// The same config without low-rank additions.
ModelConfig WithoutLora(const ModelConfig& config);

// θ of WithoutLora(config): each map with additions is W + scale * B A. `theta`: of `config`.
std::vector<float> MergeLora(const ModelConfig& config, absl::Span<const float> theta);

// Writes the additions and the head to `folder` in PEFT's layout, which PeftModel.from_pretrained puts on top
// of the model that they were made for. `base`: what that model is called, for the file. The config must have
// additions. Errors: UNIMPLEMENTED for a model that predicts hidden tokens; those of the Env.
absl::Status WriteAdapter(Env* env, const std::string& folder, const ModelConfig& config,
                          absl::Span<const float> theta, const std::string& base);

}  // namespace shoal::model
