#include "common/job/job_spec.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/job/data_files.h"
#include "common/job/job_rules.h"
#include "common/job/rule_defaults.h"
#include "google/protobuf/descriptor.pb.h"

namespace shoal {
namespace {

constexpr uint32_t kDefaultVocabSize = 8000;
constexpr uint32_t kDefaultHiddenSize = 128;
constexpr uint32_t kDefaultLayers = 2;
constexpr uint32_t kHeadSize = 64;  // of BERT and GPT-2, whatever their width
constexpr uint32_t kIntermediateFactor = 4;
constexpr uint32_t kDefaultMaxLength = 64;

void CompleteFormat(JobSpec* job) {
  if (job->data().has_format()) return;
  const std::optional<DataFormat> format = InferFormat(*job);
  if (format) job->mutable_data()->set_format(*format);
}

void CompleteData(DataSpec* data) {
  if (data->files_size() > 0 && !data->has_split()) FillDefaults(data->mutable_split());
}

void CompleteTokenizer(TokenizerSpec* tokenizer) {
  const bool made = tokenizer->type() == TOKENIZER_TYPE_SENTENCEPIECE && !tokenizer->has_path();
  if (made && !tokenizer->has_vocab_size()) tokenizer->set_vocab_size(kDefaultVocabSize);
}

void CompleteShape(ModelSpec* model) {
  if (!model->has_hidden_size()) model->set_hidden_size(kDefaultHiddenSize);
  if (!model->has_layers()) model->set_layers(kDefaultLayers);
  if (!model->has_heads()) model->set_heads(std::max(1u, model->hidden_size() / kHeadSize));
  if (!model->has_intermediate_size())
    model->set_intermediate_size(kIntermediateFactor * model->hidden_size());
  if (!model->has_max_length()) model->set_max_length(kDefaultMaxLength);
}

void CompleteTrain(TrainSpec* train) {
  if (train->has_wire()) return;
  train->set_wire(train->precision() == PRECISION_BF16 ? WIRE_FORMAT_BF16 : WIRE_FORMAT_F32);
}

void CompleteEvaluation(const JobSpec& job, EvaluationSpec* evaluation) {
  if (!evaluation->has_every() && HasValidation(job)) evaluation->mutable_every()->set_epochs(1);
  if (!evaluation->has_every()) evaluation->mutable_every()->set_never(true);
  if (!evaluation->has_keep_best()) evaluation->set_keep_best(!evaluation->every().never());
}

// What says in another way that a field has no effect: a job is the same, for who resumes it, without it.
void UnsetWithoutEffect(JobSpec* job) {
  OptimizerSpec* const optimizer = job->mutable_optimizer();
  if (optimizer->layer_decay() == 1) optimizer->clear_layer_decay();
  if (optimizer->head_learning_rate() == optimizer->learning_rate()) optimizer->clear_head_learning_rate();
  LossSpec plain;
  FillDefaults(&plain);
  if (job->loss().SerializeAsString() == plain.SerializeAsString()) job->clear_loss();
}

}  // namespace

void CompleteJob(JobSpec* job) {
  CompleteFormat(job);  // other defaults of data apply with some formats only
  FillDefaults(job);
  FillRuleDefaults(job);
  CompleteData(job->mutable_data());
  if (RuleOf(job->task()).hides_tokens()) FillDefaults(job->mutable_masking());
  CompleteTokenizer(job->mutable_tokenizer());
  ModelSpec* model = job->mutable_model();
  if (!model->has_from()) CompleteShape(model);
  if (!model->has_attention_dropout()) model->set_attention_dropout(model->dropout());
  CompleteTrain(job->mutable_train());
  CompleteEvaluation(*job, job->mutable_evaluation());
  UnsetWithoutEffect(job);
}

absl::Status ValidateJob(const JobSpec& job) {
  const std::vector<JobProblem> problems = FindJobProblems(job);
  if (problems.empty()) return absl::OkStatus();
  std::vector<std::string> lines;
  for (const JobProblem& problem : problems) {
    lines.push_back(absl::StrCat(problem.field.empty() ? "job" : problem.field, ": ", problem.message));
  }
  return ProblemsToStatus(std::move(lines));
}

bool HasValidation(const JobSpec& job) {
  return job.data().validation_files_size() > 0 ||
         (job.data().files_size() > 0 && job.data().split().validation() > 0);
}

bool HigherIsBetter(Metric metric) {
  const auto* value = Metric_descriptor()->FindValueByNumber(metric);
  return value == nullptr || !value->options().GetExtension(lower_is_better);
}

std::string MetricName(Metric metric) {
  const auto* value = Metric_descriptor()->FindValueByNumber(metric);
  return value == nullptr ? absl::StrCat("metric ", static_cast<int>(metric)) : WordOf(value);
}

}  // namespace shoal
