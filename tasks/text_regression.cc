// A number per text. Statistics: sums of x, y, xx, yy, xy and (x - y)^2 over the examples; x: prediction,
// y: target.
#include <cmath>
#include <limits>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/base/utf8.h"
#include "tasks/class_labels.h"
#include "tasks/task.h"

namespace shoal::tasks {
namespace {

constexpr int kSums = 6;
constexpr float kMaxFloat = std::numeric_limits<float>::max();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

// False for NaN.
bool FitsFloat(double value) { return std::abs(value) <= kMaxFloat; }

void AddPair(double x, double y, EvaluationStatistics* statistics) {
  while (statistics->sums_size() < kSums) statistics->add_sums(0);
  const double terms[kSums] = {x, y, x * x, y * y, x * y, (x - y) * (x - y)};
  for (int i = 0; i < kSums; ++i) statistics->set_sums(i, statistics->sums(i) + terms[i]);
}

bool HasSums(const EvaluationStatistics& statistics) {
  return statistics.sums_size() == kSums && statistics.examples() > 0;
}

double MeanSquaredError(const EvaluationStatistics& statistics) {
  return HasSums(statistics) ? statistics.sums(5) / static_cast<double>(statistics.examples()) : kNan;
}

double Pearson(const EvaluationStatistics& statistics) {
  if (!HasSums(statistics)) return kNan;
  const double n = static_cast<double>(statistics.examples());
  const auto& s = statistics.sums();
  const double xy = n * s[4] - s[0] * s[1], xx = n * s[2] - s[0] * s[0], yy = n * s[3] - s[1] * s[1];
  return xx > 0 && yy > 0 ? xy / std::sqrt(xx * yy) : kNan;
}

class TextRegressionTask final : public Task {
 public:
  TaskType type() const override { return TASK_TEXT_REGRESSION; }
  HeadType head() const override { return HEAD_TYPE_NUMBER; }

  absl::Status ReadLabels(std::vector<std::string> labels, Example* example) const override {
    SHOAL_RETURN_IF_ERROR(CheckNotEmpty(labels[0]));
    if (!absl::SimpleAtod(labels[0], &example->target) || !FitsFloat(example->target)) {
      return absl::InvalidArgumentError(absl::StrCat("the label (data.label): expected a number within ±",
                                                     kMaxFloat, " (float32) for text-regression, got '",
                                                     ToQuoted(labels[0]), "'"));
    }
    example->labels = std::move(labels);
    return absl::OkStatus();
  }
  RareLabels rare_labels() const override { return RareLabels::kKept; }

  // A single label, named after the column.
  absl::StatusOr<std::vector<std::string>> LabelsOf(const DataSpec& data, const ExampleSet&) const override {
    return std::vector<std::string>{data.label()};
  }
  TargetKind target_kind() const override { return TargetKind::kNumbers; }

  std::vector<Metric> reported_metrics() const override { return {METRIC_MSE, METRIC_PEARSON}; }

  Prediction Predict(const PredictionInput& of) const override {
    return {{of.logits.begin(), of.logits.end()}, 1, {}};
  }

 protected:
  absl::Status AppendTargets(const EncodedExample& example, const LabelMap&,
                             EncodedPart* part) const override {
    part->targets.push_back(static_cast<float>(example.example.target));
    return absl::OkStatus();
  }

  void CountOwn(const Outcome& outcome, EvaluationStatistics* statistics) const override {
    for (int64_t example = 0; example < outcome.examples(); ++example)
      AddPair(outcome.logits[example], outcome.targets[example], statistics);
  }

  double OwnMetric(Metric metric, const EvaluationStatistics& statistics) const override {
    if (metric == METRIC_MSE) return MeanSquaredError(statistics);
    if (metric == METRIC_PEARSON) return Pearson(statistics);
    return kNan;
  }
};

}  // namespace

const Task& TextRegression() {
  static const TextRegressionTask kTask;
  return kTask;
}

}  // namespace shoal::tasks
