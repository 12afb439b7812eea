// One of several relations between two marked parts of a text (tasks/relations.h). As SemEval-2010 task 8
// scores them: a relation is right only with its direction, both directions count as one relation, and Other
// is none.
//
// Statistics: confusion[relation][true positives, false positives, false negatives] for RelationsOf the
// labels, then [examples with the right label, examples].
#include <algorithm>
#include <cstdint>
#include <limits>
#include <utility>

#include "common/base/status.h"
#include "tasks/relations.h"
#include "tasks/single_label_task.h"
#include "tasks/statistics.h"

namespace shoal::tasks {
namespace {

constexpr int kCells = 3;         // per relation
constexpr int kExampleCells = 2;  // after those

std::vector<LabelCounts> CountsOf(const EvaluationStatistics& statistics) {
  const auto& cells = statistics.confusion();
  std::vector<LabelCounts> counts;
  for (int i = 0; i + kCells + kExampleCells <= cells.size(); i += kCells)
    counts.push_back({cells[i], cells[i + 1], cells[i + 2]});
  return counts;
}

double Accuracy(const EvaluationStatistics& statistics) {
  const auto& cells = statistics.confusion();
  const uint64_t examples = cells.size() < kExampleCells ? 0 : cells[cells.size() - 1];
  return examples == 0 ? std::numeric_limits<double>::quiet_NaN()
                       : static_cast<double>(cells[cells.size() - 2]) / static_cast<double>(examples);
}

LabelReport Named(LabelReport report, const char* name) {
  report.label = name;
  return report;
}

class RelationExtractionTask final : public SingleLabelTask {
 public:
  TaskType type() const override { return TASK_RELATION_EXTRACTION; }

  absl::Status ReadLabels(std::vector<std::string> labels, Example* example) const override {
    SHOAL_RETURN_IF_ERROR(CheckExample(*example));
    return SingleLabelTask::ReadLabels(std::move(labels), example);
  }
  absl::Status CheckExample(const Example& example) const override { return CheckMarkers(example.text); }

  absl::StatusOr<std::vector<std::string>> LabelsOf(const DataSpec& data,
                                                    const ExampleSet& training) const override {
    SHOAL_ASSIGN_OR_RETURN(std::vector<std::string> labels, SingleLabelTask::LabelsOf(data, training));
    if (!RelationsOf(labels).empty()) return labels;
    return absl::InvalidArgumentError(
        "data.label: expected a relation besides Other among the training examples");
  }

  std::vector<Metric> reported_metrics() const override { return {METRIC_MACRO_F1, METRIC_ACCURACY}; }
  LabelTable ReportLabels(absl::Span<const std::string> labels,
                          const EvaluationStatistics& statistics) const override {
    const std::vector<LabelCounts> counts = CountsOf(statistics);
    return {ReportsOf(counts, RelationsOf(labels)),
            {Named(MicroAverage(counts), "micro"), Named(MacroAverage(counts), "macro")}};
  }

 protected:
  void CountPrediction(int truth, int prediction, absl::Span<const std::string> labels,
                       EvaluationStatistics* statistics) const override {
    const std::vector<std::string> relations = RelationsOf(labels);
    const int cells = static_cast<int>(relations.size()) * kCells + kExampleCells;
    const auto count = [&](int label, int cell) {
      const absl::string_view relation = RelationOf(labels[label]);
      const auto place = std::find(relations.begin(), relations.end(), relation);
      if (place == relations.end()) return;
      CountCell(static_cast<int>(place - relations.begin()) * kCells + cell, cells, statistics);
    };
    if (truth == prediction) {
      count(truth, 0);
      CountCell(cells - 2, cells, statistics);
    } else {
      count(prediction, 1);
      count(truth, 2);
    }
    CountCell(cells - 1, cells, statistics);
  }

  double OwnMetric(Metric metric, const EvaluationStatistics& statistics) const override {
    if (metric == METRIC_ACCURACY) return Accuracy(statistics);
    if (metric == METRIC_MACRO_F1) return MacroF1(CountsOf(statistics));
    return std::numeric_limits<double>::quiet_NaN();
  }
};

}  // namespace

const Task& RelationExtraction() {
  static const RelationExtractionTask kTask;
  return kTask;
}

}  // namespace shoal::tasks
