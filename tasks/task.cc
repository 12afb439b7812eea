#include "tasks/task.h"

#include <limits>
#include <utility>

#include "common/base/status.h"
#include "tasks/statistics.h"

namespace shoal::tasks {

Example Task::ExampleOf(std::string text, const TextEncoder&) const {
  Example example;
  example.text = std::move(text);
  return example;
}

void Task::AppendTokens(const Example& example, const TextEncoder& encoder, size_t max_tokens,
                        EncodedPart* part) const {
  std::string text = example.text;
  RewriteText(&text);
  const auto encode = [&](size_t most) {
    if (example.pair) return encoder.EncodePair(text, *example.pair, most);
    Encoding encoding;
    encoding.ids = encoder.Encode(text, most);
    return encoding;
  };
  const Encoding encoding = encode(max_tokens);
  if (encoding.size() == max_tokens && encode(max_tokens + 1).size() > max_tokens) ++part->cut;
  part->AppendTokens(encoding.ids, encoding.type_ids);
}

absl::Status Task::AppendExample(const Example& example, const TextEncoder& encoder, size_t max_tokens,
                                 const LabelMap& labels, EncodedPart* part) const {
  const uint64_t first = part->size();
  AppendTokens(example, encoder, max_tokens, part);
  for (uint64_t added = first; added < part->size(); ++added)
    SHOAL_RETURN_IF_ERROR(AppendTargets({example, part->tokens_of(added)}, labels, part));
  return absl::OkStatus();
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
  if (IsPerToken(target_kind()) && statistics.predicted_tokens() == 0)
    return std::numeric_limits<double>::quiet_NaN();
  return metric == METRIC_LOSS ? MeanLoss(statistics) : OwnMetric(metric, statistics);
}

}  // namespace shoal::tasks
