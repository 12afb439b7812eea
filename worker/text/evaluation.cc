#include "worker/text/evaluation.h"

#include <algorithm>

namespace shoal::worker {
namespace {

void Count(int cell, int cells, EvaluationStatistics* statistics) {
  while (statistics->confusion_size() < cells) statistics->add_confusion(0);
  statistics->set_confusion(cell, statistics->confusion(cell) + 1);
}

void AddPair(double x, double y, EvaluationStatistics* statistics) {
  while (statistics->sums_size() < 6) statistics->add_sums(0);
  const double terms[6] = {x, y, x * x, y * y, x * y, (x - y) * (x - y)};
  for (int i = 0; i < 6; ++i) statistics->set_sums(i, statistics->sums(i) + terms[i]);
}

}  // namespace

int LargestLogit(absl::Span<const float> logits) {
  return static_cast<int>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

void AddBatch(TaskType task, const Batch& batch, absl::Span<const float> logits, const LossSum& loss,
              EvaluationStatistics* statistics) {
  const int64_t examples = batch.example_count();
  if (examples == 0) return;
  statistics->set_examples(statistics->examples() + examples);
  statistics->set_loss(statistics->loss() + loss.loss);
  if (task == TASK_CAUSAL_LANGUAGE_MODELLING) {
    statistics->set_predicted_tokens(statistics->predicted_tokens() + loss.rows);
    return;
  }
  const int labels = static_cast<int>(static_cast<int64_t>(logits.size()) / examples);
  for (int64_t example = 0; example < examples; ++example) {
    const absl::Span<const float> row = logits.subspan(example * labels, labels);
    if (task == TASK_TEXT_CLASSIFICATION) {
      Count(batch.classes[example] * labels + LargestLogit(row), labels * labels, statistics);
    } else if (task == TASK_TEXT_REGRESSION) {
      AddPair(row[0], batch.targets[example], statistics);
    } else {
      for (int label = 0; label < labels; ++label) {
        const bool truth = batch.targets[example * labels + label] > 0.5f;
        Count(label * 4 + (truth ? 2 : 0) + (row[label] > 0 ? 1 : 0), labels * 4, statistics);
      }
    }
  }
}

}  // namespace shoal::worker
