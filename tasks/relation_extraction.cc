// One of several relations between two marked parts of a text (tasks/relations.h). As SemEval-2010 task 8
// scores them: a relation is right only with its direction, both directions count as one relation, and Other
// is none.
//
// Statistics: those of tasks/kind_counts.h, for RelationsOf the labels and for examples.
#include <algorithm>
#include <cstdint>
#include <limits>
#include <utility>

#include "common/base/status.h"
#include "tasks/kind_counts.h"
#include "tasks/relations.h"
#include "tasks/single_label_task.h"

namespace shoal::tasks {
namespace {

class RelationExtractionTask final : public SingleLabelTask {
 public:
  TaskType type() const override { return TASK_RELATION_EXTRACTION; }

  absl::Status ReadLabels(std::vector<std::string> labels, Example* example) const override {
    SHOAL_RETURN_IF_ERROR(CheckExample(*example));
    return SingleLabelTask::ReadLabels(std::move(labels), example);
  }
  void RewriteText(std::string* text) const override { *text = WithPlainMarkers(*text); }
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
    const std::vector<LabelCounts> counts = KindCounts(statistics);
    return {ReportsOf(counts, RelationsOf(labels)),
            {Named(MicroAverage(counts), "micro"), Named(MacroAverage(counts), "macro")}};
  }

 protected:
  void CountPredictions(absl::Span<const LabelPair> pairs, absl::Span<const std::string> labels,
                        EvaluationStatistics* statistics) const override {
    const std::vector<std::string> relations = RelationsOf(labels);
    std::vector<LabelCounts> counts(relations.size());
    LabelCounts other;  // not kept
    const auto count_of = [&](int label) -> LabelCounts& {
      const auto place = std::find(relations.begin(), relations.end(), RelationOf(labels[label]));
      return place == relations.end() ? other : counts[place - relations.begin()];
    };
    uint64_t right = 0;
    for (const auto& [truth, prediction] : pairs) {
      if (truth == prediction) {
        ++count_of(truth).true_positive;
        ++right;
      } else {
        ++count_of(prediction).false_positive;
        ++count_of(truth).false_negative;
      }
    }
    AddKindCounts(counts, right, pairs.size(), statistics);
  }

  double OwnMetric(Metric metric, const EvaluationStatistics& statistics) const override {
    if (metric == METRIC_ACCURACY) return RightFraction(statistics);
    if (metric == METRIC_MACRO_F1) return MacroF1(KindCounts(statistics));
    return std::numeric_limits<double>::quiet_NaN();
  }
};

}  // namespace

const Task& RelationExtraction() {
  static const RelationExtractionTask kTask;
  return kTask;
}

}  // namespace shoal::tasks
