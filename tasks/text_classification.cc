// One of several labels per text. Statistics: confusion[truth, prediction], row-major; with very many labels
// confusion[label][true positives, false positives, false negatives, 0], and two zeros at the end.
#include <cmath>
#include <cstdint>
#include <limits>

#include "tasks/single_label_task.h"
#include "tasks/statistics.h"

namespace shoal::tasks {
namespace {

// No chart shows more (tools/shoal/svg_chart.cc), and what a job keeps of its evaluations would soon exceed
// the maximum size of a message.
constexpr int kMaxMatrixLabels = 400;

// With two cells more than a multiple of four, counts by label are never taken for a matrix: a square is 0 or
// 1 modulo 4.
constexpr int kCellsPerLabel = 4, kExtraCells = 2;

std::vector<LabelCounts> CountsOfMatrix(absl::Span<const uint64_t> cells, int labels) {
  std::vector<LabelCounts> counts;
  for (int label = 0; label < labels; ++label) {
    LabelCounts count;
    count.true_positive = cells[label * labels + label];
    for (int other = 0; other < labels; ++other) {
      if (other == label) continue;
      count.false_negative += cells[label * labels + other];
      count.false_positive += cells[other * labels + label];
    }
    counts.push_back(count);
  }
  return counts;
}

// Empty when the cells are neither a square matrix nor counts by label.
std::vector<LabelCounts> CountsOf(const EvaluationStatistics& statistics) {
  const auto& cells = statistics.confusion();
  const int labels = static_cast<int>(std::lround(std::sqrt(cells.size())));
  if (labels * labels == cells.size()) return CountsOfMatrix(cells, labels);
  std::vector<LabelCounts> counts;
  if (cells.size() % kCellsPerLabel != kExtraCells || cells.size() <= kMaxMatrixLabels * kCellsPerLabel)
    return counts;
  for (int i = 0; i + kCellsPerLabel <= cells.size(); i += kCellsPerLabel)
    counts.push_back({cells[i], cells[i + 1], cells[i + 2]});
  return counts;
}

void CountCells(int truth, int prediction, int labels, EvaluationStatistics* statistics) {
  if (labels <= kMaxMatrixLabels) return CountCell(truth * labels + prediction, labels * labels, statistics);
  const int cells = labels * kCellsPerLabel + kExtraCells;
  if (truth == prediction) return CountCell(truth * kCellsPerLabel, cells, statistics);
  CountCell(prediction * kCellsPerLabel + 1, cells, statistics);
  CountCell(truth * kCellsPerLabel + 2, cells, statistics);
}

double Accuracy(const EvaluationStatistics& statistics) {
  double right = 0, all = 0;
  for (const LabelCounts& count : CountsOf(statistics)) {
    right += count.true_positive;
    all += count.true_positive + count.false_negative;
  }
  return all > 0 ? right / all : std::numeric_limits<double>::quiet_NaN();
}

class TextClassificationTask final : public SingleLabelTask {
 public:
  TaskType type() const override { return TASK_TEXT_CLASSIFICATION; }

  std::vector<Metric> reported_metrics() const override { return {METRIC_ACCURACY, METRIC_MACRO_F1}; }
  std::vector<uint64_t> ConfusionMatrix(size_t labels,
                                        const EvaluationStatistics& statistics) const override {
    const auto& cells = statistics.confusion();
    if (static_cast<size_t>(cells.size()) != labels * labels) return {};
    return {cells.begin(), cells.end()};
  }
  LabelTable ReportLabels(absl::Span<const std::string> labels,
                          const EvaluationStatistics& statistics) const override {
    return {ReportsOf(CountsOf(statistics), labels), {}};
  }

 protected:
  void CountPredictions(absl::Span<const LabelPair> pairs, absl::Span<const std::string> labels,
                        EvaluationStatistics* statistics) const override {
    for (const auto& [truth, prediction] : pairs)
      CountCells(truth, prediction, static_cast<int>(labels.size()), statistics);
  }

  double OwnMetric(Metric metric, const EvaluationStatistics& statistics) const override {
    if (metric == METRIC_ACCURACY) return Accuracy(statistics);
    if (metric == METRIC_MACRO_F1) return MacroF1(CountsOf(statistics));
    return std::numeric_limits<double>::quiet_NaN();
  }
};

}  // namespace

const Task& TextClassification() {
  static const TextClassificationTask kTask;
  return kTask;
}

}  // namespace shoal::tasks
