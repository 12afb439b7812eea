#include "tasks/predictor.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "common/base/status.h"
#include "common/base/utf8.h"
#include "common/job/job_rules.h"
#include "kernels/tensor.h"
#include "model/hugging_face.h"
#include "model/parameters.h"
#include "model/tokenizer/characters.h"
#include "model/tokenizer/pretrained_tokenizer.h"
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

absl::Status CheckFinite(absl::Span<const float> logits) {
  if (std::all_of(logits.begin(), logits.end(), [](float logit) { return std::isfinite(logit); }))
    return absl::OkStatus();
  return absl::InvalidArgumentError(
      "the model computes values that are not finite numbers: it is damaged, or its training went wrong");
}

}  // namespace

absl::StatusOr<std::unique_ptr<Predictor>> Predictor::Load(Env* env, const std::string& folder,
                                                           kernels::Device* device) {
  std::unique_ptr<Predictor> predictor(new Predictor);
  SHOAL_ASSIGN_OR_RETURN(predictor->config_, model::ReadModelConfig(env, folder));
  SHOAL_ASSIGN_OR_RETURN(predictor->task_, TaskOfModel(predictor->config_, folder));
  if (!predictor->task_->predicts()) {
    return absl::UnimplementedError(absl::StrCat(
        folder,
        " is a language model, and Shoal does not generate text yet; expected a model with labels. "
        "`transformers` loads it (AutoModelForCausalLM)"));
  }
  predictor->buffer_ = BatchBuffer(predictor->task_->target_kind(), predictor->config_.labels.size());
  SHOAL_ASSIGN_OR_RETURN(predictor->max_length_, model::ReadMaxLength(env, folder, predictor->config_));
  SHOAL_ASSIGN_OR_RETURN(predictor->tokenizer_, model::ReadTokenizer(env, folder));
  SHOAL_RETURN_IF_ERROR(Annotate(model::CheckForEncoders(*predictor->tokenizer_), folder));
  if (predictor->tokenizer_->vocab_size() > predictor->config_.vocab_size) {
    return absl::InvalidArgumentError(
        absl::StrCat(folder, ": the tokenizer has ids up to ", predictor->tokenizer_->vocab_size() - 1,
                     ", but the model a vocabulary of ", predictor->config_.vocab_size));
  }
  const model::Parameters parameters = model::MakeParameters(predictor->config_);
  SHOAL_ASSIGN_OR_RETURN(model::LoadedWeights weights, model::ReadWeights(env, folder, parameters));
  if (std::find(weights.found.begin(), weights.found.end(), false) != weights.found.end()) {
    return absl::InvalidArgumentError(
        absl::StrCat(folder, " has no trained head: expected a folder that `shoal export` wrote"));
  }
  predictor->theta_ = std::move(weights.theta);
  predictor->model_ = model::MakeModel(device, predictor->config_, {predictor->max_length_, 1},
                                       kernels::DType::kF32, model::Purpose::kEvaluation);
  return predictor;
}

std::vector<float> Predictor::Logits(const model::Batch& batch, kernels::LossSum* loss) {
  std::vector<float> logits(LogitRows(task_->target_kind(), batch) * model::LogitColumns(config_));
  *loss = model_->Evaluate(theta_.data(), batch, absl::MakeSpan(logits));
  return logits;
}

std::vector<float> Predictor::LogitsOf(const EncodedPart& part) {
  std::vector<float> all;
  for (uint64_t example = 0; example < part.size(); ++example) {
    kernels::LossSum loss;
    const std::vector<float> logits = Logits(buffer_.Gather(part, {example}), &loss);
    all.insert(all.end(), logits.begin(), logits.end());
  }
  return all;
}

absl::StatusOr<Predictor::OfText> Predictor::Predict(absl::string_view text,
                                                     std::optional<absl::string_view> pair) {
  const TaskRule& rule = RuleOf(task_->type());
  if (pair && !rule.takes_pairs())
    return absl::InvalidArgumentError(
        absl::StrCat("a model for ", WordOf(task_->type()), " takes no pairs of texts"));
  if (!pair && rule.needs_pairs())
    return absl::InvalidArgumentError(
        absl::StrCat("a model for ", WordOf(task_->type()), " takes pairs of texts, got one text"));
  const TokenizerEncoder encoder(*tokenizer_);
  Example example = task_->ExampleOf(model::ReplaceInvalidUtf8(text), encoder);
  if (pair) example.pair = model::ReplaceInvalidUtf8(*pair);
  SHOAL_RETURN_IF_ERROR(task_->CheckExample(example));
  return Predict(example);
}

absl::StatusOr<Predictor::OfText> Predictor::Predict(const Example& example) {
  const TokenizerEncoder encoder(*tokenizer_);
  EncodedPart part;
  task_->AppendTokens(example, encoder, max_length_, &part);
  SHOAL_RETURN_IF_ERROR(FitTypes(static_cast<uint64_t>(config_.type_vocab_size), &part));
  const std::vector<float> logits = LogitsOf(part);
  SHOAL_RETURN_IF_ERROR(CheckFinite(logits));
  Prediction prediction = task_->Predict({example, part, config_.labels, logits, encoder, config_.threshold});
  return OfText{example.text, example.pair, std::move(prediction), part.cut > 0};
}

absl::StatusOr<EvaluationStatistics> Predictor::Evaluate(Env* env, const std::vector<std::string>& files,
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

}  // namespace shoal::tasks
