// Predicts the next token from those before it. Statistics: none besides the loss per predicted token.
#include <cmath>
#include <limits>

#include "tasks/statistics.h"
#include "tasks/task.h"

namespace shoal::tasks {
namespace {

class CausalLanguageModellingTask final : public Task {
 public:
  TaskType type() const override { return TASK_CAUSAL_LANGUAGE_MODELLING; }
  HeadType head() const override { return HEAD_TYPE_NEXT_TOKEN; }

  absl::Status ReadLabels(std::vector<std::string>, Example*) const override { return absl::OkStatus(); }
  bool reads_labels() const override { return false; }
  RareLabels rare_labels() const override { return RareLabels::kKept; }

  absl::StatusOr<std::vector<std::string>> LabelsOf(const DataSpec&, const ExampleSet&) const override {
    return std::vector<std::string>();
  }
  TargetKind target_kind() const override { return TargetKind::kNone; }
  // Consecutive windows of `max_tokens`. A single token left over is dropped: it predicts nothing.
  void AppendTokens(const Example& example, const TextEncoder& encoder, size_t max_tokens,
                    EncodedPart* part) const override {
    const std::vector<uint32_t> tokens = encoder.Encode(example.text, std::numeric_limits<size_t>::max());
    for (size_t begin = 0; begin + 1 < tokens.size(); begin += max_tokens)
      part->AppendTokens(absl::MakeConstSpan(tokens).subspan(begin, max_tokens));
  }

  std::vector<Metric> reported_metrics() const override { return {METRIC_PERPLEXITY}; }

  bool predicts() const override { return false; }
  Prediction Predict(const PredictionInput&) const override { return {}; }

 protected:
  void CountOwn(const Outcome&, EvaluationStatistics*) const override {}

  double OwnMetric(Metric metric, const EvaluationStatistics& statistics) const override {
    return metric == METRIC_PERPLEXITY ? std::exp(MeanLoss(statistics))
                                       : std::numeric_limits<double>::quiet_NaN();
  }
};

}  // namespace

const Task& CausalLanguageModelling() {
  static const CausalLanguageModellingTask kTask;
  return kTask;
}

}  // namespace shoal::tasks
