#include "tests/simulation/made_up_job.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>

#include "absl/strings/str_cat.h"
#include "common/job/job_spec.h"

namespace shoal::simulation {
namespace {

constexpr uint64_t kExamplesPerSlot = 5;

// Independent choices from one number (SplitMix64).
class Choices {
 public:
  explicit Choices(uint64_t number) : state_(number * 0x9E3779B97F4A7C15u) {}
  uint64_t Below(uint64_t n) {
    uint64_t z = state_ += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return (z ^ (z >> 31)) % n;
  }
  bool OneIn(uint64_t n) { return Below(n) == 0; }

 private:
  uint64_t state_;
};

void SetOptimizer(Choices* choices, OptimizerSpec* optimizer) {
  switch (choices->Below(4)) {
    case 0:
      optimizer->set_type(OPTIMIZER_TYPE_SGD);
      optimizer->set_momentum(choices->OneIn(2) ? 0.9 : 0);
      optimizer->set_nesterov(optimizer->momentum() > 0 && choices->OneIn(2));
      break;
    case 1:
      optimizer->set_type(OPTIMIZER_TYPE_ADAM);
      break;
    default:
      optimizer->set_type(OPTIMIZER_TYPE_ADAMW);
  }
  optimizer->set_learning_rate(0.02 * static_cast<double>(1 + choices->Below(10)));
  if (optimizer->type() != OPTIMIZER_TYPE_ADAM) optimizer->set_weight_decay(choices->OneIn(2) ? 0.01 : 0);
  optimizer->set_clip_norm(choices->OneIn(2) ? 0 : 1.0);
}

void SetEvaluation(Choices* choices, EvaluationSpec* evaluation) {
  if (choices->OneIn(4)) {
    evaluation->mutable_every()->set_never(true);
    evaluation->set_keep_best(false);
    return;
  }
  evaluation->mutable_every()->set_rounds(2 + choices->Below(4));
  evaluation->set_metric(choices->OneIn(2) ? METRIC_LOSS : METRIC_ACCURACY);
  evaluation->set_keep_best(!choices->OneIn(3));
  evaluation->set_patience(choices->OneIn(3) ? static_cast<uint32_t>(1 + choices->Below(2)) : 0);
}

JobSpec SpecOf(Choices choices, uint64_t rounds) {
  JobSpec spec;
  spec.set_name("made-up");
  spec.set_task(TASK_TEXT_CLASSIFICATION);
  spec.mutable_data()->add_files("data.tsv");
  spec.mutable_data()->add_text("text");
  spec.mutable_data()->set_label("label");
  TrainSpec& train = *spec.mutable_train();
  train.set_rounds(rounds);
  train.set_slots(static_cast<uint32_t>(1 + choices.Below(6)));
  train.set_slot_batch(kExamplesPerSlot);
  train.set_wire(choices.OneIn(2) ? WIRE_FORMAT_F32 : WIRE_FORMAT_BF16);
  SetOptimizer(&choices, spec.mutable_optimizer());
  spec.mutable_schedule()->mutable_warmup()->set_rounds(choices.Below(4));
  spec.mutable_schedule()->set_type(choices.OneIn(3) ? SCHEDULE_TYPE_CONSTANT : SCHEDULE_TYPE_LINEAR);
  SetEvaluation(&choices, spec.mutable_evaluation());
  spec.mutable_checkpoint()->mutable_every()->set_rounds(1 + choices.Below(5));
  spec.mutable_checkpoint()->set_keep(static_cast<uint32_t>(1 + choices.Below(3)));
  spec.mutable_log_every()->set_rounds(1 + choices.Below(6));
  return spec;
}

// A tenth of the jobs diverge, half of them in an evaluation.
std::optional<BadSlot> BadSlotOf(Choices* choices, const MadeUpJob& job) {
  if (!choices->OneIn(10)) return std::nullopt;
  BadSlot bad;
  bad.round = choices->Below(job.plan.rounds());
  bad.slot = choices->Below(job.spec.train().slots());
  const uint64_t set = choices->Below(4);
  if (set == 0 && job.plan.validation_examples() > 0) bad.set = EVALUATION_SET_VALIDATION;
  if (set == 1 && job.plan.test_examples() > 0) bad.set = EVALUATION_SET_TEST;
  return bad;
}

// As fine-tuning has them: parts that learn at other rates, and a group of which nothing is trained.
void AddFineTuning(Choices* choices, JobPlan* plan) {
  if (choices->OneIn(3)) {
    for (ParameterInfo& parameter : *plan->mutable_parameters())
      parameter.set_rate_factor(0.3 * static_cast<double>(1 + choices->Below(6)));
  }
  if (!choices->OneIn(3)) return;
  plan->add_group_sizes(0);
  const auto at = static_cast<int>(choices->Below(static_cast<uint64_t>(plan->group_sizes_size())));
  auto* const sizes = plan->mutable_group_sizes();
  std::rotate(sizes->begin() + at, sizes->end() - 1, sizes->end());
}

double LossOf(const MadeUpJob& job, EvaluationSet set, uint64_t round, uint64_t slot, double loss) {
  const bool bad = job.bad && job.bad->set == set && job.bad->slot == slot &&
                   (set != EVALUATION_SET_NONE || job.bad->round == round);
  return bad ? std::numeric_limits<double>::quiet_NaN() : loss;
}

}  // namespace

MadeUpJob MakeUpJob(uint64_t number) {
  Choices choices(number);
  const uint64_t rounds = number == 0 ? 10 : 5 + choices.Below(8);
  MadeUpJob job;
  job.sparse = number % 3 == 2;
  job.spec = SpecOf(choices, rounds);
  if (number == 0) {
    job.spec.mutable_train()->set_slots(4);
    job.spec.mutable_train()->set_wire(WIRE_FORMAT_F32);
    job.spec.mutable_optimizer()->Clear();
    job.spec.mutable_optimizer()->set_learning_rate(0.05);
    job.spec.mutable_optimizer()->set_weight_decay(0.01);
    job.spec.mutable_optimizer()->set_clip_norm(1.0);
    job.spec.mutable_evaluation()->Clear();
    job.spec.mutable_evaluation()->mutable_every()->set_rounds(3);
    job.spec.mutable_evaluation()->set_keep_best(true);
  }
  if (number >= kFirstJobOfTwo) {
    job.spec.mutable_cluster()->set_min_servers(2);
    job.spec.mutable_cluster()->set_min_workers(2);
    job.spec.mutable_train()->set_slots(1 + job.spec.train().slots());
  }
  CompleteJob(&job.spec);

  JobPlan& plan = job.plan;
  const uint64_t groups = 2 + choices.Below(4);
  uint64_t offset = 0;
  for (uint64_t group = 0; group < groups; ++group) {
    const uint64_t size = (3 + choices.Below(20)) * (job.sparse ? 12 : 1);
    plan.add_group_sizes(size);
    const uint64_t first = 1 + choices.Below(size);
    for (const uint64_t part : {first, size - first}) {
      if (part == 0) continue;
      ParameterInfo& parameter = *plan.add_parameters();
      parameter.set_name(absl::StrCat("parameter-", plan.parameters_size()));
      parameter.add_shape(part);
      parameter.set_offset(offset);
      parameter.set_decay(plan.parameters_size() % 2 == 1);
      parameter.mutable_init()->set_kind(choices.OneIn(2) ? Initializer::ZEROS : Initializer::ONES);
      offset += part;
    }
  }
  plan.set_rounds(rounds);
  plan.set_rounds_per_epoch(3);
  plan.add_labels("a");
  plan.add_labels("b");
  const uint64_t slots = job.spec.train().slots();
  plan.set_train_examples(plan.rounds_per_epoch() * slots * kExamplesPerSlot);
  if (!job.spec.evaluation().every().never()) plan.set_validation_examples(slots * kExamplesPerSlot);
  if (!choices.OneIn(3)) plan.set_test_examples(slots * kExamplesPerSlot);
  plan.set_numerics("f32");
  if (number != 0) {
    job.bad = BadSlotOf(&choices, job);
    AddFineTuning(&choices, &plan);  // later choices come last: what a number meant stays as it was
    if (choices.OneIn(4)) job.spec.mutable_optimizer()->set_ema_decay(0.6);
    job.spec.mutable_optimizer()->set_skip_not_finite(choices.OneIn(3));
  }
  std::copy_if(plan.group_sizes().begin(), plan.group_sizes().end(), std::back_inserter(job.blocks),
               [](uint64_t size) { return size > 0; });
  return job;
}

ContributionStats MadeUpGradient(const MadeUpJob& job, uint64_t round, uint64_t slot,
                                 absl::Span<const float> theta, absl::Span<float> gradient) {
  double loss = 0;
  for (size_t i = 0; i < theta.size(); ++i) {
    const double phase =
        0.7 * static_cast<double>(i) + 1.3 * static_cast<double>(slot) + 0.31 * static_cast<double>(round);
    const double wish = phase - std::floor(phase) - 0.4;
    gradient[i] = static_cast<float>(kExamplesPerSlot * (theta[i] - wish) / 3.0);
    if (job.sparse && (i / 32 + slot + round) % 4 != 0) gradient[i] = 0;
    loss += (theta[i] - wish) * (theta[i] - wish);
  }
  ContributionStats stats;
  stats.set_weight(kExamplesPerSlot + (round + 2 * slot) % 3);
  stats.set_examples(kExamplesPerSlot);
  stats.set_tokens(kExamplesPerSlot * (3 + (round + slot) % 4));
  stats.set_loss(LossOf(job, EVALUATION_SET_NONE, round, slot, loss));
  return stats;
}

EvaluationStatistics MadeUpEvaluation(const MadeUpJob& job, EvaluationSet set, uint64_t slot,
                                      absl::Span<const float> theta) {
  EvaluationStatistics statistics;
  statistics.set_examples(kExamplesPerSlot);
  for (int i = 0; i < 4; ++i) statistics.add_confusion(0);
  double loss = 0;
  for (uint64_t example = 0; example < kExamplesPerSlot; ++example) {
    const uint64_t place = (example * 13 + slot * 5 + static_cast<uint64_t>(set)) % theta.size();
    const int label = static_cast<int>((place + slot) % 2);
    const int predicted = theta[place] > 0.1f ? 1 : 0;
    statistics.set_confusion(label * 2 + predicted, statistics.confusion(label * 2 + predicted) + 1);
    loss += std::fabs(theta[place] - (label == 1 ? 0.5 : -0.2));
  }
  statistics.set_loss(LossOf(job, set, 0, slot, loss));
  return statistics;
}

}  // namespace shoal::simulation
