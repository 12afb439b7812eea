#include "tasks/single_label_task.h"

#include <cstdint>
#include <utility>

#include "common/base/status.h"
#include "tasks/class_labels.h"

namespace shoal::tasks {

absl::Status SingleLabelTask::ReadLabels(std::vector<std::string> labels, Example* example) const {
  SHOAL_RETURN_IF_ERROR(CheckNotEmpty(labels[0]));
  example->labels = std::move(labels);
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::string>> SingleLabelTask::LabelsOf(const DataSpec&,
                                                                   const ExampleSet& training) const {
  return DistinctLabels(training, 2);
}

Prediction SingleLabelTask::Predict(const PredictionInput& of) const { return {Softmax(of.logits), 1, {}}; }

absl::Status SingleLabelTask::AppendTargets(const EncodedExample& example, const LabelMap& labels,
                                            EncodedPart* part) const {
  for (const std::string& label : example.example.labels) {
    SHOAL_ASSIGN_OR_RETURN(const int32_t id, labels.Find(label));
    part->classes.push_back(id);
  }
  return absl::OkStatus();
}

void SingleLabelTask::CountOwn(const Outcome& outcome, EvaluationStatistics* statistics) const {
  const auto labels = static_cast<int64_t>(outcome.labels.size());
  std::vector<LabelPair> pairs;
  for (int64_t example = 0; example < outcome.examples(); ++example) {
    // This task gives each example a label, but the dataset may have been made by another program.
    if (outcome.classes[example] < 0) continue;
    pairs.push_back(
        {outcome.classes[example], LargestLogit(outcome.logits.subspan(example * labels, labels))});
  }
  CountPredictions(pairs, outcome.labels, statistics);
}

}  // namespace shoal::tasks
