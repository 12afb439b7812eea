#include "tasks/statistics.h"

#include <limits>

namespace shoal::tasks {

void AddStatistics(const EvaluationStatistics& right, EvaluationStatistics* left) {
  left->set_examples(left->examples() + right.examples());
  left->set_loss(left->loss() + right.loss());
  left->set_predicted_tokens(left->predicted_tokens() + right.predicted_tokens());
  for (int i = 0; i < right.confusion_size(); ++i) {
    if (i == left->confusion_size()) left->add_confusion(0);
    left->set_confusion(i, left->confusion(i) + right.confusion(i));
  }
  for (int i = 0; i < right.sums_size(); ++i) {
    if (i == left->sums_size()) left->add_sums(0);
    left->set_sums(i, left->sums(i) + right.sums(i));
  }
  left->mutable_results()->MergeFrom(right.results());
}

std::map<uint64_t, ScoredResult> BestResults(const EvaluationStatistics& statistics) {
  std::map<uint64_t, ScoredResult> best;
  for (const ScoredResult& result : statistics.results()) {
    const auto [place, is_new] = best.emplace(result.key(), result);
    if (!is_new && result.score() > place->second.score()) place->second = result;
  }
  return best;
}

double MeanLoss(const EvaluationStatistics& statistics) {
  const uint64_t rows =
      statistics.predicted_tokens() > 0 ? statistics.predicted_tokens() : statistics.examples();
  return rows > 0 ? statistics.loss() / static_cast<double>(rows) : std::numeric_limits<double>::quiet_NaN();
}

void CountCell(int cell, int cells, EvaluationStatistics* statistics) {
  while (statistics->confusion_size() < cells) statistics->add_confusion(0);
  statistics->set_confusion(cell, statistics->confusion(cell) + 1);
}

}  // namespace shoal::tasks
