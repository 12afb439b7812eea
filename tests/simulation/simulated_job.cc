#include "tests/simulation/simulated_job.h"

#include <cmath>

#include "common/job_spec.h"

namespace shoal::simulation {
namespace {

constexpr uint64_t kRounds = 18;
constexpr uint64_t kRoundsPerEpoch = 6;
constexpr uint32_t kSlots = 6;
constexpr uint64_t kExamplesPerSlot = 5;

}  // namespace

JobSpec SimulatedSpec() {
  JobSpec spec;
  spec.set_name("simulated");
  spec.set_task(TASK_TEXT_CLASSIFICATION);
  spec.mutable_data()->add_files("data.tsv");
  spec.mutable_data()->add_text("text");
  spec.mutable_data()->set_label("label");
  spec.mutable_train()->set_rounds(kRounds);
  spec.mutable_train()->set_slots(kSlots);
  spec.mutable_train()->set_slot_batch(kExamplesPerSlot);
  spec.mutable_optimizer()->set_learning_rate(0.05);
  spec.mutable_optimizer()->set_weight_decay(0.01);
  spec.mutable_optimizer()->set_clip_norm(1.0);
  spec.mutable_schedule()->mutable_warmup()->set_rounds(3);
  spec.mutable_evaluation()->mutable_every()->set_epochs(1);
  spec.mutable_evaluation()->set_keep_best(true);
  spec.mutable_checkpoint()->mutable_every()->set_rounds(4);
  spec.mutable_log_every()->set_rounds(4);
  CompleteJob(&spec);
  return spec;
}

JobPlan SimulatedPlan() {
  JobPlan plan;
  uint64_t offset = 0;
  const auto add = [&](const char* name, uint64_t size, bool decay) {
    ParameterInfo& parameter = *plan.add_parameters();
    parameter.set_name(name);
    parameter.add_shape(size);
    parameter.set_offset(offset);
    parameter.set_decay(decay);
    parameter.mutable_init()->set_kind(Initializer::ZEROS);
    offset += size;
  };
  add("embedding", 40, true);
  add("layer.weight", 20, true);
  add("layer.bias", 6, false);
  add("head", 9, true);
  for (uint64_t size : {40, 26, 9}) plan.add_group_sizes(size);
  plan.set_rounds(kRounds);
  plan.set_rounds_per_epoch(kRoundsPerEpoch);
  plan.add_labels("a");
  plan.add_labels("b");
  plan.set_train_examples(kRoundsPerEpoch * kSlots * kExamplesPerSlot);
  plan.set_validation_examples(kSlots * kExamplesPerSlot);
  plan.set_test_examples(kSlots * kExamplesPerSlot);
  plan.set_numerics("f32");
  return plan;
}

ContributionStats SimulatedGradient(Round round, Slot slot, absl::Span<const float> theta,
                                    absl::Span<float> gradient) {
  double loss = 0;
  for (size_t i = 0; i < theta.size(); ++i) {
    const double wish = std::sin(0.7 * i + 1.3 * slot.value() + 0.11 * round.value());
    gradient[i] = static_cast<float>(kExamplesPerSlot * (theta[i] - wish) / 3.0);
    loss += (theta[i] - wish) * (theta[i] - wish);
  }
  ContributionStats stats;
  stats.set_weight(kExamplesPerSlot);
  stats.set_examples(kExamplesPerSlot);
  stats.set_tokens(kExamplesPerSlot * (3 + (round.value() + slot.value()) % 4));
  stats.set_loss(loss);
  return stats;
}

EvaluationStatistics SimulatedEvaluation(EvaluationSet set, Slot slot, absl::Span<const float> theta) {
  EvaluationStatistics statistics;
  statistics.set_examples(kExamplesPerSlot);
  for (int i = 0; i < 4; ++i) statistics.add_confusion(0);
  double loss = 0;
  for (uint64_t example = 0; example < kExamplesPerSlot; ++example) {
    const uint64_t place = (example * 13 + slot.value() * 5 + set) % theta.size();
    const int label = static_cast<int>((place + slot.value()) % 2);
    const int predicted = theta[place] > 0 ? 1 : 0;
    statistics.set_confusion(label * 2 + predicted, statistics.confusion(label * 2 + predicted) + 1);
    loss += std::fabs(theta[place] - label);
  }
  statistics.set_loss(loss);
  return statistics;
}

}  // namespace shoal::simulation
