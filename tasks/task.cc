#include "tasks/task.h"

#include "tasks/statistics.h"

namespace shoal::tasks {

absl::Status Task::AppendExample(const Example& example, const TextEncoder& encoder, size_t max_tokens,
                                 const LabelMap& labels, EncodedPart* part) const {
  part->AppendTokens(encoder.Encode(example.text, max_tokens));
  return AppendTargets({example, part->tokens_of(part->size() - 1)}, labels, part);
}

void Task::Count(const Outcome& outcome, EvaluationStatistics* statistics) const {
  if (outcome.examples() == 0) return;
  statistics->set_examples(statistics->examples() + outcome.examples());
  statistics->set_loss(statistics->loss() + outcome.loss);
  if (IsPerToken(target_kind()))
    statistics->set_predicted_tokens(statistics->predicted_tokens() + outcome.loss_rows);
  CountOwn(outcome, statistics);
}

double Task::MetricValue(Metric metric, const EvaluationStatistics& statistics) const {
  return metric == METRIC_LOSS ? MeanLoss(statistics) : OwnMetric(metric, statistics);
}

}  // namespace shoal::tasks
