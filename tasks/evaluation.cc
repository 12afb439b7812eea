#include "tasks/evaluation.h"

namespace shoal::tasks {

void CountBatch(const Task& task, absl::Span<const std::string> labels, const model::Batch& batch,
                absl::Span<const std::string> notes, absl::Span<const float> logits,
                const kernels::LossSum& loss, EvaluationStatistics* statistics) {
  Outcome outcome;
  outcome.labels = labels;
  outcome.offsets = batch.offsets;
  outcome.logits = logits;
  outcome.classes = batch.classes;
  outcome.targets = batch.targets;
  outcome.notes = notes;
  outcome.loss = loss.loss;
  outcome.loss_rows = loss.rows;
  outcome.correct = loss.correct;
  task.Count(outcome, statistics);
}

}  // namespace shoal::tasks
