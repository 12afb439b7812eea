// What tasks have in common that learn one of several labels for each example.
#pragma once

#include <string>
#include <vector>

#include "tasks/task.h"

namespace shoal::tasks {

class SingleLabelTask : public Task {
 public:
  HeadType head() const override { return HEAD_TYPE_CLASS; }

  absl::Status ReadLabels(std::vector<std::string> labels, Example* example) const override;
  RareLabels rare_labels() const override { return RareLabels::kRemovedWithExample; }
  absl::StatusOr<std::vector<std::string>> LabelsOf(const DataSpec& data,
                                                    const ExampleSet& training) const override;
  TargetKind target_kind() const override { return TargetKind::kClass; }

  Prediction Predict(const PredictionInput& of) const override;

 protected:
  absl::Status AppendTargets(const EncodedExample& example, const LabelMap& labels,
                             EncodedPart* part) const override;
  void CountOwn(const Outcome& outcome, EvaluationStatistics* statistics) const override;

  // Indices of labels.
  struct LabelPair {
    int truth = 0;
    int prediction = 0;
  };
  // Counts examples. `labels`: all.
  virtual void CountPredictions(absl::Span<const LabelPair> pairs, absl::Span<const std::string> labels,
                                EvaluationStatistics* statistics) const = 0;
};

}  // namespace shoal::tasks
