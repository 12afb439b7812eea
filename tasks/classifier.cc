#include "tasks/classifier.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/base/utf8.h"
#include "common/job/job_rules.h"
#include "kernels/tensor.h"
#include "model/hugging_face.h"
#include "model/lora.h"
#include "model/parameters.h"
#include "model/tokenizer/characters.h"
#include "model/tokenizer/pretrained_tokenizer.h"
#include "model/trainable_parameters.h"
#include "tasks/data/reader.h"
#include "tasks/evaluation.h"
#include "tasks/registry.h"

namespace shoal::tasks {

namespace {

absl::StatusOr<const Task*> TaskOfModel(const model::ModelConfig& config, const std::string& folder) {
  if (config.task.empty()) return &TaskOf(config.head);
  const auto word = FindWord(TaskType_descriptor(), config.task);
  const Task* const task = word.ok() ? FindTask(static_cast<TaskType>((*word)->number())) : nullptr;
  if (task != nullptr && task->head() == config.head) return task;
  return absl::InvalidArgumentError(absl::StrCat(JoinPath(folder, "config.json"), ": \"shoal_task\": '",
                                                 ToQuoted(config.task),
                                                 "' is not a task of this model's head"));
}

// All parameters of the model.
absl::StatusOr<std::vector<float>> WholeTheta(const model::ModelConfig& config, const TrainedModel& trained) {
  SHOAL_ASSIGN_OR_RETURN(const model::TrainableParameters parameters,
                         model::TrainableParameters::OfPlan(model::MakeParameters(config), trained.plan));
  return Annotate(parameters.Whole(trained.theta, model::FloatsOf(trained.frozen)), "the checkpoint");
}

absl::Status CheckFinite(absl::Span<const float> logits) {
  if (std::all_of(logits.begin(), logits.end(), [](float logit) { return std::isfinite(logit); }))
    return absl::OkStatus();
  return absl::InvalidArgumentError(
      "the model computes values that are not finite numbers: it is damaged, or its training went wrong");
}

}  // namespace

absl::StatusOr<std::unique_ptr<Classifier>> Classifier::Load(Env* env, const std::string& folder,
                                                             kernels::Device* device) {
  std::unique_ptr<Classifier> classifier(new Classifier);
  SHOAL_ASSIGN_OR_RETURN(classifier->config_, model::ReadModelConfig(env, folder));
  SHOAL_ASSIGN_OR_RETURN(classifier->task_, TaskOfModel(classifier->config_, folder));
  if (!classifier->task_->predicts()) {
    return absl::UnimplementedError(absl::StrCat(
        folder,
        " is a language model, and Shoal does not generate text yet; expected a model with labels. "
        "`transformers` loads it (AutoModelForCausalLM)"));
  }
  classifier->buffer_ = BatchBuffer(classifier->task_->target_kind(), classifier->config_.labels.size());
  SHOAL_ASSIGN_OR_RETURN(classifier->max_length_, model::ReadMaxLength(env, folder, classifier->config_));
  SHOAL_ASSIGN_OR_RETURN(classifier->tokenizer_, model::ReadTokenizer(env, folder));
  SHOAL_RETURN_IF_ERROR(Annotate(model::CheckForEncoders(*classifier->tokenizer_), folder));
  if (classifier->tokenizer_->vocab_size() > classifier->config_.vocab_size) {
    return absl::InvalidArgumentError(
        absl::StrCat(folder, ": the tokenizer has ids up to ", classifier->tokenizer_->vocab_size() - 1,
                     ", but the model a vocabulary of ", classifier->config_.vocab_size));
  }
  const model::Parameters parameters = model::MakeParameters(classifier->config_);
  SHOAL_ASSIGN_OR_RETURN(model::LoadedWeights weights, model::ReadWeights(env, folder, parameters));
  if (std::find(weights.found.begin(), weights.found.end(), false) != weights.found.end()) {
    return absl::InvalidArgumentError(
        absl::StrCat(folder, " has no trained head: expected a folder that `shoal export` wrote"));
  }
  classifier->theta_ = std::move(weights.theta);
  classifier->model_ = model::MakeModel(device, classifier->config_, {classifier->max_length_, 1},
                                        kernels::DType::kF32, model::Purpose::kEvaluation);
  return classifier;
}

std::vector<float> Classifier::Logits(const model::Batch& batch, kernels::LossSum* loss) {
  std::vector<float> logits(LogitRows(task_->target_kind(), batch) * model::LogitColumns(config_));
  *loss = model_->Evaluate(theta_.data(), batch, absl::MakeSpan(logits));
  return logits;
}

std::vector<float> Classifier::LogitsOf(const EncodedPart& part) {
  std::vector<float> all;
  for (uint64_t example = 0; example < part.size(); ++example) {
    kernels::LossSum loss;
    const std::vector<float> logits = Logits(buffer_.Gather(part, {example}), &loss);
    all.insert(all.end(), logits.begin(), logits.end());
  }
  return all;
}

absl::StatusOr<Classifier::OfText> Classifier::Predict(absl::string_view text,
                                                       std::optional<absl::string_view> pair) {
  const TaskRule& rule = RuleOf(task_->type());
  if (pair && !rule.takes_pairs())
    return absl::InvalidArgumentError("the model labels parts of a text, not pairs of texts");
  if (!pair && rule.needs_pairs())
    return absl::InvalidArgumentError("the model answers questions: expected a question and a text");
  const TokenizerEncoder encoder(*tokenizer_);
  Example example = task_->ExampleOf(model::ReplaceInvalidUtf8(text), encoder);
  if (pair) example.pair = model::ReplaceInvalidUtf8(*pair);
  SHOAL_RETURN_IF_ERROR(task_->CheckExample(example));
  EncodedPart part;
  task_->AppendTokens(example, encoder, max_length_, &part);
  SHOAL_RETURN_IF_ERROR(FitTypes(static_cast<uint64_t>(config_.type_vocab_size), &part));
  const std::vector<float> logits = LogitsOf(part);
  SHOAL_RETURN_IF_ERROR(CheckFinite(logits));
  Prediction prediction = task_->Predict({example, part, config_.labels, logits, encoder, config_.threshold});
  return OfText{example.text, example.pair, std::move(prediction), part.cut > 0};
}

absl::StatusOr<EvaluationStatistics> Classifier::Evaluate(Env* env, const std::vector<std::string>& files,
                                                          const DataSpec& data) {
  const google::protobuf::RepeatedPtrField<std::string> paths(files.begin(), files.end());
  SHOAL_ASSIGN_OR_RETURN(const ExampleSet set, ReadExamples(env, paths, data, *task_));
  SHOAL_ASSIGN_OR_RETURN(EncodedPart part,
                         EncodeExamples(set, *tokenizer_, max_length_, *task_, config_.labels));
  SHOAL_RETURN_IF_ERROR(FitTypes(static_cast<uint64_t>(config_.type_vocab_size), &part));
  EvaluationStatistics statistics;
  for (uint64_t example = 0; example < part.size(); ++example) {
    const model::Batch batch = buffer_.Gather(part, {example});
    kernels::LossSum loss;
    const std::vector<float> logits = Logits(batch, &loss);
    SHOAL_RETURN_IF_ERROR(CheckFinite(logits));
    CountBatch(*task_, config_.labels, batch, buffer_.notes(), logits, loss, &statistics);
  }
  task_->Conclude(config_.threshold, &statistics);
  return statistics;
}

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
