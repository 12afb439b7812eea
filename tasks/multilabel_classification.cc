// Any number of labels per text. Statistics: confusion[label][true negatives, false positives, false
// negatives, true positives].
#include <cmath>
#include <limits>
#include <set>

#include "common/base/status.h"
#include "tasks/class_labels.h"
#include "tasks/statistics.h"
#include "tasks/task.h"

namespace shoal::tasks {
namespace {

constexpr int kCells = 4;  // per label

std::vector<LabelCounts> CountsOf(const EvaluationStatistics& statistics) {
  const auto& cells = statistics.confusion();
  std::vector<LabelCounts> counts;
  for (int i = 0; i + kCells <= cells.size(); i += kCells)
    counts.push_back({cells[i + 3], cells[i + 1], cells[i + 2]});
  return counts;
}

class MultilabelClassificationTask final : public Task {
 public:
  TaskType type() const override { return TASK_MULTILABEL_CLASSIFICATION; }
  HeadType head() const override { return HEAD_TYPE_LABELS; }

  bool reads_lists() const override { return true; }
  // Sorted, without duplicates or empty labels.
  absl::Status ReadLabels(std::vector<std::string> labels, Example* example) const override {
    std::set<std::string> distinct(labels.begin(), labels.end());
    distinct.erase("");
    example->labels.assign(distinct.begin(), distinct.end());
    return absl::OkStatus();
  }
  RareLabels rare_labels() const override { return RareLabels::kRemoved; }

  absl::StatusOr<std::vector<std::string>> LabelsOf(const DataSpec&,
                                                    const ExampleSet& training) const override {
    return DistinctLabels(training, 1);
  }
  TargetKind target_kind() const override { return TargetKind::kNumbers; }

  std::vector<Metric> reported_metrics() const override { return {METRIC_MICRO_F1, METRIC_MACRO_F1}; }
  LabelTable ReportLabels(absl::Span<const std::string> labels,
                          const EvaluationStatistics& statistics) const override {
    return {ReportsOf(CountsOf(statistics), labels), {}};
  }

  // Those that the metrics count as predicted are chosen.
  Prediction Predict(const PredictionInput& of) const override {
    Prediction prediction;
    for (float logit : of.logits) {
      prediction.values.push_back(1 / (1 + std::exp(-logit)));
      prediction.chosen += logit > 0 ? 1 : 0;
    }
    return prediction;
  }

 protected:
  absl::Status AppendTargets(const EncodedExample& example, const LabelMap& labels,
                             EncodedPart* part) const override {
    const size_t first = part->targets.size();
    part->targets.resize(first + labels.size());
    for (const std::string& label : example.example.labels) {
      SHOAL_ASSIGN_OR_RETURN(const int32_t id, labels.Find(label));
      part->targets[first + id] = 1;
    }
    return absl::OkStatus();
  }

  void CountOwn(const Outcome& outcome, EvaluationStatistics* statistics) const override {
    const int labels = static_cast<int>(static_cast<int64_t>(outcome.logits.size()) / outcome.examples());
    for (size_t i = 0; i < outcome.logits.size(); ++i) {
      const int label = static_cast<int>(i) % labels;
      const bool truth = outcome.targets[i] > 0.5f, predicted = outcome.logits[i] > 0;
      CountCell(label * kCells + (truth ? 2 : 0) + (predicted ? 1 : 0), labels * kCells, statistics);
    }
  }

  double OwnMetric(Metric metric, const EvaluationStatistics& statistics) const override {
    if (metric == METRIC_MACRO_F1) return MacroF1(CountsOf(statistics));
    if (metric == METRIC_MICRO_F1) return MicroF1(CountsOf(statistics));
    return std::numeric_limits<double>::quiet_NaN();
  }
};

}  // namespace

const Task& MultilabelClassification() {
  static const MultilabelClassificationTask kTask;
  return kTask;
}

}  // namespace shoal::tasks
