#include "worker/text/text_program.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "common/base/philox.h"
#include "common/base/status.h"
#include "common/job/artifact_names.h"
#include "common/storage/progress_env.h"
#include "kernels/device.h"
#include "model/model.h"
#include "model/model_config.h"
#include "model/parameters.h"
#include "model/trainable_parameters.h"
#include "tasks/batches.h"
#include "tasks/dataset.h"
#include "tasks/encode.h"
#include "tasks/evaluation.h"
#include "tasks/registry.h"
#include "worker/text/derive.h"

namespace shoal::worker {
namespace {

using tasks::Dataset;
using tasks::Masking;
using tasks::Part;

// The passes over each batch.
int PassesOf(const JobSpec& spec) {
  if (!spec.has_adversarial()) return 1;
  return spec.adversarial().type() == ADVERSARIAL_TYPE_FGM ? 2 : static_cast<int>(spec.adversarial().steps());
}

model::AdversaryOptions AdversaryOf(const JobSpec& spec) {
  const AdversarialSpec& adversarial = spec.adversarial();
  if (adversarial.type() == ADVERSARIAL_TYPE_FGM)
    return {adversarial.epsilon(), adversarial.epsilon(), false};
  return {adversarial.step_size(), adversarial.epsilon(), true};
}

class TextProgram : public Program {
 public:
  // `theta`: all of the model's parameters, of which only those that are not `trainable` count; empty when
  // all are.
  TextProgram(kernels::Device* device, const JobSpec& spec, const model::ModelConfig& config, Dataset dataset,
              model::TrainableParameters trainable, std::vector<float> theta, model::LossOptions loss)
      : spec_(spec),
        task_(tasks::TaskOf(spec)),
        labels_(config.labels),
        columns_(model::LogitColumns(config)),
        dataset_(std::move(dataset)),
        order_(&dataset_.part[0], spec.seed(), spec.train().slots(), spec.train().slot_batch()),
        micro_examples_((spec.train().slot_batch() + spec.train().micro_batches() - 1) /
                        spec.train().micro_batches()),
        trainable_(std::move(trainable)),
        theta_(std::move(theta)),
        gradient_(theta_.size()),
        loss_(std::move(loss)),
        passes_(PassesOf(spec)),
        adversary_(AdversaryOf(spec)),
        buffer_(task_.target_kind(), dataset_.labels) {
    model::BatchLimits limits;
    limits.examples = static_cast<int64_t>(micro_examples_);
    limits.tokens = static_cast<int64_t>(micro_examples_ * dataset_.longest());
    const bool is_bf16 = spec.train().precision() == PRECISION_BF16;
    model_ = model::MakeModel(
        device, config, limits, is_bf16 ? kernels::DType::kBf16 : kernels::DType::kF32,
        model::Purpose::kTraining,
        {trainable_.all_train() ? nullptr : &trainable_, &loss_, passes_ > 1 ? &adversary_ : nullptr});
  }

  absl::Status RunSlot(const SlotTask& task) override {
    const std::vector<uint64_t> examples = order_.Examples(task.round, task.slot);
    if (examples.empty()) return RunEmptySlot(task);
    model::MicroBatch step;
    step.theta = trainable_.all_train() ? task.theta : theta_.data();
    step.gradient = trainable_.all_train() ? task.gradient : gradient_.data();
    step.dropout.key = DeriveKey(spec_.seed(), "dropout", {task.round.value(), task.slot.value()});
    const Masking* const masking = MaskingOf("masking", {task.round.value()});
    ContributionStats stats;
    const uint64_t pieces = std::min<uint64_t>(spec_.train().micro_batches(), examples.size());
    for (uint64_t piece = 0; piece < pieces; ++piece) {
      step.batch = buffer_.Gather(dataset_[Part::kTrain], Piece(examples, piece, pieces), masking);
      stats.set_examples(stats.examples() + step.batch.example_count());
      stats.set_tokens(stats.tokens() + step.batch.token_count());
      for (step.ascent = 0; step.ascent < passes_; ++step.ascent) {
        step.accumulate = piece > 0 || step.ascent > 0;
        const bool last = piece + 1 == pieces && step.ascent + 1 == passes_;
        if (!RunPass(task, step, last, &stats)) return absl::CancelledError("the slot is no longer needed");
      }
      step.dropout.first_token += static_cast<uint32_t>(step.batch.token_count());
      step.dropout.first_example += static_cast<uint32_t>(step.batch.example_count());
    }
    return absl::OkStatus();
  }

  absl::StatusOr<EvaluationStatistics> EvaluateSlot(const EvaluationTask& task) override {
    const tasks::EncodedPart& part =
        dataset_[task.set == EVALUATION_SET_TEST ? Part::kTest : Part::kValidation];
    std::vector<uint64_t> examples;
    for (uint64_t i = task.slot.value(); i < part.size(); i += spec_.train().slots()) examples.push_back(i);
    const float* const theta = Whole(task.theta);
    EvaluationStatistics statistics;
    for (uint64_t begin = 0; begin < examples.size(); begin += micro_examples_) {
      const auto piece = absl::MakeConstSpan(examples).subspan(begin, micro_examples_);
      // The same tokens in each evaluation, so that versions can be compared.
      const model::Batch batch = buffer_.Gather(part, piece, MaskingOf("masking of evaluations", {}));
      logits_.resize(LogitRows(batch) * columns_);
      const kernels::LossSum loss = model_->Evaluate(theta, batch, absl::MakeSpan(logits_));
      tasks::CountBatch(task_, labels_, batch, buffer_.notes(), logits_, loss, &statistics);
    }
    return statistics;
  }

 private:
  int groups() const { return static_cast<int>(trainable_.group_sizes().size()); }

  // Forward and backward. The loss counts once for each pass, so that the gradient is of their mean. False
  // when it was aborted. `last`: of the slot.
  bool RunPass(const SlotTask& task, const model::MicroBatch& step, bool last, ContributionStats* stats) {
    kernels::LossSum loss;
    if (!model_->Forward(
            step, [&](int group) { return Await(task, group); }, &loss)) {
      return false;
    }
    stats->set_weight(stats->weight() + loss.rows);
    stats->set_loss(stats->loss() + loss.loss);
    if (last) task.set_stats(*stats);
    model_->Backward([&](int group) {
      if (last) Finish(task, group);
    });
    return true;
  }

  // What the task calls θ are the trainable parameters alone; the model needs all.
  bool Await(const SlotTask& task, int group) {
    if (!task.wait_group(group)) return false;
    if (!trainable_.all_train()) trainable_.Join(group, task.theta, theta_.data());
    return true;
  }
  void Finish(const SlotTask& task, int group) {
    if (!trainable_.all_train()) trainable_.Extract(group, gradient_.data(), task.gradient);
    task.group_final(group);
  }
  const float* Whole(const float* theta) {
    if (trainable_.all_train()) return theta;
    for (int group = 0; group < groups(); ++group) trainable_.Join(group, theta, theta_.data());
    return theta_.data();
  }

  int64_t LogitRows(const model::Batch& batch) const {
    const TargetKind kind = task_.target_kind();
    return tasks::EvaluationNeedsLogits(kind) ? tasks::LogitRows(kind, batch) : 0;
  }

  // What is hidden for this purpose; null for a task that hides nothing. Valid until the next call.
  const Masking* MaskingOf(const char* purpose, std::initializer_list<uint64_t> indices) {
    if (!dataset_.hides_tokens()) return nullptr;
    masking_ = {spec_.masking().rate(), spec_.masking().whole_words(), dataset_.mask_token,
                dataset_.vocab_size, DeriveKey(spec_.seed(), purpose, indices)};
    return &masking_;
  }

  // Piece `piece` of `pieces` pieces of almost equal size.
  static absl::Span<const uint64_t> Piece(absl::Span<const uint64_t> all, uint64_t piece, uint64_t pieces) {
    const uint64_t begin = all.size() * piece / pieces;
    return all.subspan(begin, all.size() * (piece + 1) / pieces - begin);
  }

  // Fewer examples than slots: this one has nothing to add.
  absl::Status RunEmptySlot(const SlotTask& task) {
    std::fill(task.gradient, task.gradient + trainable_.size(), 0.0f);
    task.set_stats(ContributionStats());
    for (int group = groups() - 1; group >= 0; --group) task.group_final(group);
    return absl::OkStatus();
  }

  const JobSpec spec_;
  const tasks::Task& task_;
  const std::vector<std::string> labels_;
  const int64_t columns_;  // of logits
  const Dataset dataset_;
  const tasks::BatchOrder order_;
  const uint64_t micro_examples_;
  const model::TrainableParameters trainable_;
  // All parameters and their gradient, where some are frozen; otherwise empty.
  std::vector<float> theta_, gradient_;
  const model::LossOptions loss_;
  const int passes_;  // over each micro-batch: more than 1 in adversarial training
  const model::AdversaryOptions adversary_;
  std::unique_ptr<model::Model> model_;
  tasks::BatchBuffer buffer_;
  Masking masking_;
  std::vector<float> logits_;
};

absl::StatusOr<std::string> ReadArtifact(Env* env, const std::map<std::string, std::string>& artifacts,
                                         const std::string& name) {
  const auto path = artifacts.find(name);
  if (path == artifacts.end())
    return absl::InvalidArgumentError(absl::StrCat("the plan has no artifact \"", name, "\""));
  return env->ReadFile(path->second);
}

// Plan, model and dataset come in different messages and files: checks that they belong to the same job.
absl::Status CheckFits(const JobSpec& spec, const JobPlan& plan, const model::ModelConfig& config,
                       const Dataset& dataset) {
  if (dataset.task != spec.task() || dataset.labels != config.labels.size() ||
      dataset[Part::kTrain].size() == 0 || dataset[Part::kTrain].size() != plan.train_examples() ||
      dataset[Part::kValidation].size() != plan.validation_examples() ||
      dataset[Part::kTest].size() != plan.test_examples()) {
    return absl::InvalidArgumentError(
        absl::StrCat("the dataset belongs to another job: it has ", dataset[Part::kTrain].size(),
                     " examples for training, ", dataset[Part::kValidation].size(), " for validation, ",
                     dataset[Part::kTest].size(), " for the test; the plan says ", plan.train_examples(),
                     ", ", plan.validation_examples(), ", ", plan.test_examples()));
  }
  if (plan.class_weights_size() > 0 &&
      static_cast<size_t>(plan.class_weights_size()) != config.labels.size()) {
    return absl::InvalidArgumentError(absl::StrCat("the plan has weights for ", plan.class_weights_size(),
                                                   " labels; the model has ", config.labels.size()));
  }
  return absl::OkStatus();
}

model::LossOptions LossOptionsOf(const JobSpec& spec, const JobPlan& plan) {
  return {static_cast<float>(spec.loss().label_smoothing()),
          static_cast<float>(spec.loss().focusing()),
          {plan.class_weights().begin(), plan.class_weights().end()}};
}

absl::Status UseClassOf(const JobSpec& spec, kernels::Device* device) {
  const bool has_amx = device->Computes(kernels::Bf16Class::kAmx);
  const auto fastest = has_amx ? kernels::Bf16Class::kAmx : kernels::Bf16Class::kAvx512;
  return device->UseBf16Class(Bf16ClassOf(spec).value_or(fastest));
}

}  // namespace

absl::StatusOr<DerivedJob> TextProgramBuilder::Derive(const JobSpec& spec, const Progress& progress) {
  SHOAL_RETURN_IF_ERROR(UseClassOf(spec, device_));  // first: if it fails, the work would be wasted
  ProgressEnv env(env_, progress);
  ThreadPool pool(threads_);
  return DeriveTextJob(&env, spec, progress, &pool);
}

absl::StatusOr<bool> TextProgramBuilder::HasData(const JobPlan& plan, const Progress& progress) {
  ProgressEnv env(env_, progress);
  bool all = true;
  for (const FileDigest& file : plan.files()) {
    if (!env.FileExists(file.path())) {
      all = false;
      continue;
    }
    SHOAL_ASSIGN_OR_RETURN(const std::string sha256, env.Sha256OfFile(file.path()));
    if (sha256 != file.sha256()) {
      return absl::FailedPreconditionError(absl::StrCat(file.path(), " differs from the job's file: SHA-256 ",
                                                        sha256, " here, ", file.sha256(), " in the job"));
    }
  }
  return all;
}

absl::StatusOr<std::unique_ptr<Program>> TextProgramBuilder::Build(
    const JobSpec& spec, const JobPlan& plan, const std::map<std::string, std::string>& artifacts,
    const Progress& progress) {
  ProgressEnv env(env_, progress);
  if (plan.numerics() != NumericsOf(spec) && spec.numerics() != NUMERICS_ANY) {
    return absl::FailedPreconditionError(absl::StrCat("the job's arithmetic is ", plan.numerics(),
                                                      "; this worker would compute in ", NumericsOf(spec)));
  }
  SHOAL_RETURN_IF_ERROR(UseClassOf(spec, device_));
  SHOAL_ASSIGN_OR_RETURN(const model::ModelConfig config, model::ParseModelConfig(plan.model_config()));
  if (config.head != tasks::TaskOf(spec).head()) {
    return absl::InvalidArgumentError(
        "the plan's model has a different head than the job's task needs: was it derived by another "
        "version?");
  }
  SHOAL_ASSIGN_OR_RETURN(const std::string bytes, ReadArtifact(&env, artifacts, kDatasetArtifact));
  const tasks::TokenLimits limits = {static_cast<uint64_t>(config.vocab_size),
                                     static_cast<uint64_t>(config.type_vocab_size)};
  SHOAL_ASSIGN_OR_RETURN(tasks::Dataset dataset, tasks::ParseDataset(bytes, limits));
  SHOAL_RETURN_IF_ERROR(CheckFits(spec, plan, config, dataset));
  SHOAL_ASSIGN_OR_RETURN(model::TrainableParameters trainable,
                         model::TrainableParameters::OfPlan(model::MakeParameters(config), plan));
  std::vector<float> theta;
  if (!trainable.all_train()) {
    SHOAL_ASSIGN_OR_RETURN(const std::string frozen, ReadArtifact(&env, artifacts, kFrozenArtifact));
    SHOAL_ASSIGN_OR_RETURN(theta,
                           trainable.Whole(std::vector<float>(trainable.size()), model::FloatsOf(frozen)));
  }
  return std::make_unique<TextProgram>(device_, spec, config, std::move(dataset), std::move(trainable),
                                       std::move(theta), LossOptionsOf(spec, plan));
}

}  // namespace shoal::worker
