#include "tasks/export.h"

#include <cstdint>
#include <memory>
#include <vector>

#include "common/base/status.h"
#include "model/hugging_face.h"
#include "model/lora.h"
#include "model/model_config.h"
#include "model/parameters.h"
#include "model/tokenizer/tokenizer.h"
#include "model/trainable_parameters.h"

namespace shoal::tasks {
namespace {

// All parameters of the model.
absl::StatusOr<std::vector<float>> WholeTheta(const model::ModelConfig& config, const TrainedModel& trained) {
  SHOAL_ASSIGN_OR_RETURN(const model::TrainableParameters parameters,
                         model::TrainableParameters::OfPlan(model::MakeParameters(config), trained.plan));
  return Annotate(parameters.Whole(trained.theta, model::FloatsOf(trained.frozen)), "the checkpoint");
}

}  // namespace

absl::Status ExportModel(Env* env, const std::string& folder, const TrainedModel& trained) {
  const JobPlan& plan = trained.plan;
  SHOAL_ASSIGN_OR_RETURN(model::ModelConfig config, model::ParseModelConfig(plan.model_config()));
  config.threshold = trained.threshold;
  SHOAL_ASSIGN_OR_RETURN(const std::unique_ptr<model::Tokenizer> loaded,
                         model::LoadTokenizer(trained.tokenizer));
  SHOAL_ASSIGN_OR_RETURN(const std::vector<float> theta, WholeTheta(config, trained));
  SHOAL_RETURN_IF_ERROR(env->CreateDirs(folder));
  // Plans of older versions don't have it: their texts were cut to the number of positions.
  const auto max_length =
      plan.max_length() > 0 ? plan.max_length() : static_cast<uint32_t>(config.max_position_embeddings);
  for (const model::NamedFile& file : loaded->ExportFiles(max_length)) {
    SHOAL_RETURN_IF_ERROR(env->WriteFileAtomic(JoinPath(folder, file.name), file.bytes));
  }
  if (config.lora.rank == 0) return model::WriteModel(env, folder, config, theta);
  return model::WriteModel(env, folder, model::WithoutLora(config), model::MergeLora(config, theta));
}

absl::Status ExportAdapter(Env* env, const std::string& folder, const TrainedModel& trained,
                           const std::string& base) {
  SHOAL_ASSIGN_OR_RETURN(const model::ModelConfig config,
                         model::ParseModelConfig(trained.plan.model_config()));
  if (config.lora.rank == 0)
    return absl::InvalidArgumentError("the job trained no low-rank additions: its job file has no 'lora'");
  SHOAL_ASSIGN_OR_RETURN(const model::TrainableParameters parameters,
                         model::TrainableParameters::OfPlan(model::MakeParameters(config), trained.plan));
  // Of the frozen parameters none is written.
  SHOAL_ASSIGN_OR_RETURN(
      const std::vector<float> theta,
      Annotate(parameters.Whole(trained.theta, std::vector<float>(parameters.frozen_size())),
               "the checkpoint"));
  return model::WriteAdapter(env, folder, config, theta, base);
}

}  // namespace shoal::tasks
