// One of several labels per text, or none of them: a text is out of scope where even the most probable
// label's probability is below a threshold (Hendrycks and Gimpel, "A Baseline for Detecting Misclassified and
// Out-of-Distribution Examples", 2017). The threshold is chosen on the validation examples, so that the mean
// of both metrics is largest.
//
// Statistics: confusion[bin][in scope and right, in scope and wrong, out of scope] for bins of the largest
// probability, from 0 to 1; concluded, sums[threshold].
#include <algorithm>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "common/base/status.h"
#include "tasks/class_labels.h"
#include "tasks/single_label_task.h"
#include "tasks/statistics.h"

namespace shoal::tasks {
namespace {

constexpr char kOutOfScope[] = "oos";
constexpr int kBins = 1000;
enum Cell { kRight, kWrong, kOutside, kCells };

int BinOf(double probability) { return std::clamp(static_cast<int>(probability * kBins), 0, kBins - 1); }

// What is predicted right with a threshold at the lower end of a bin.
struct Rates {
  double accuracy = 0;  // of what is in scope
  double recall = 0;    // of what is out of scope
};

class IntentClassificationTask final : public SingleLabelTask {
 public:
  TaskType type() const override { return TASK_INTENT_CLASSIFICATION; }

  absl::StatusOr<std::vector<std::string>> LabelsOf(const DataSpec&,
                                                    const ExampleSet& training) const override {
    SHOAL_ASSIGN_OR_RETURN(std::vector<std::string> labels, DistinctLabels(training, 2));
    labels.erase(std::remove(labels.begin(), labels.end(), kOutOfScope), labels.end());
    if (labels.size() >= 2) return labels;
    return absl::InvalidArgumentError(
        "data.label: expected at least two labels besides oos among the training examples");
  }

  void Conclude(std::optional<double> threshold, EvaluationStatistics* statistics) const override {
    if (statistics->confusion_size() != kBins * kCells) return;
    statistics->clear_sums();
    statistics->add_sums(threshold.value_or(BestThreshold(*statistics)));
  }
  std::optional<double> ThresholdOf(const EvaluationStatistics& statistics) const override {
    return statistics.sums().empty() ? std::nullopt : std::optional<double>(statistics.sums(0));
  }

  std::vector<Metric> reported_metrics() const override {
    return {METRIC_ACCURACY, METRIC_OUT_OF_SCOPE_RECALL};
  }

  Prediction Predict(const PredictionInput& of) const override {
    Prediction prediction = SingleLabelTask::Predict(of);
    if (BinOf(LargestProbability(of.logits)) < BinAt(of.threshold)) prediction.chosen = 0;
    return prediction;
  }

 protected:
  absl::Status AppendTargets(const EncodedExample& example, const LabelMap& labels,
                             EncodedPart* part) const override {
    if (example.example.labels != std::vector<std::string>{kOutOfScope})
      return SingleLabelTask::AppendTargets(example, labels, part);
    part->classes.push_back(-1);
    return absl::OkStatus();
  }

  void CountOwn(const Outcome& outcome, EvaluationStatistics* statistics) const override {
    const auto labels = static_cast<int64_t>(outcome.labels.size());
    for (int64_t example = 0; example < outcome.examples(); ++example) {
      const absl::Span<const float> logits = outcome.logits.subspan(example * labels, labels);
      const int32_t truth = outcome.classes[example];
      const Cell cell = truth < 0 ? kOutside : truth == LargestLogit(logits) ? kRight : kWrong;
      CountCell(BinOf(LargestProbability(logits)) * kCells + cell, kBins * kCells, statistics);
    }
    // The loss is summed over what is in scope.
    statistics->set_predicted_tokens(statistics->predicted_tokens() + outcome.loss_rows);
  }

  void CountPredictions(absl::Span<const LabelPair>, absl::Span<const std::string>,
                        EvaluationStatistics*) const override {}

  double OwnMetric(Metric metric, const EvaluationStatistics& statistics) const override {
    if (statistics.confusion_size() != kBins * kCells) return std::numeric_limits<double>::quiet_NaN();
    const Rates rates = RatesOf(statistics)[BinAt(ThresholdOf(statistics).value_or(0))];
    if (metric == METRIC_ACCURACY) return rates.accuracy;
    if (metric == METRIC_OUT_OF_SCOPE_RECALL) return rates.recall;
    return std::numeric_limits<double>::quiet_NaN();
  }

 private:
  // The bin that begins at the threshold.
  static int BinAt(double threshold) {
    return std::clamp(static_cast<int>(threshold * kBins + 0.5), 0, kBins - 1);
  }

  // For a threshold at each bin. A rate of nothing is NaN.
  static std::vector<Rates> RatesOf(const EvaluationStatistics& statistics) {
    const auto cell = [&](int bin, Cell of) {
      return static_cast<double>(statistics.confusion(bin * kCells + of));
    };
    double inside = 0, right = 0, outside = 0, below = 0;
    for (int bin = 0; bin < kBins; ++bin) {
      right += cell(bin, kRight);
      inside += cell(bin, kRight) + cell(bin, kWrong);
      outside += cell(bin, kOutside);
    }
    std::vector<Rates> rates;
    for (int bin = 0; bin < kBins; ++bin) {
      rates.push_back({right / inside, below / outside});
      right -= cell(bin, kRight);
      below += cell(bin, kOutside);
    }
    return rates;
  }

  // The lowest of the best ones; 0 where nothing is out of scope, or nothing in it.
  static double BestThreshold(const EvaluationStatistics& statistics) {
    const std::vector<Rates> rates = RatesOf(statistics);
    int best = 0;
    for (int bin = 1; bin < kBins; ++bin) {
      if (rates[bin].accuracy + rates[bin].recall > rates[best].accuracy + rates[best].recall) best = bin;
    }
    return static_cast<double>(best) / kBins;
  }
};

}  // namespace

const Task& IntentClassification() {
  static const IntentClassificationTask kTask;
  return kTask;
}

}  // namespace shoal::tasks
