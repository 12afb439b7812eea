// Predicts the next token from those before it. Statistics: confusion[bytes, tokens] of the texts. Note: the
// same in the first window of each text, "bytes tokens".
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
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
    for (size_t begin = 0; begin + 1 < tokens.size(); begin += max_tokens) {
      part->AppendTokens(absl::MakeConstSpan(tokens).subspan(begin, max_tokens));
      part->notes.push_back(begin == 0 ? absl::StrCat(example.text.size(), " ", tokens.size()) : "");
    }
  }

  std::vector<Metric> reported_metrics() const override { return {METRIC_PERPLEXITY, METRIC_BITS_PER_BYTE}; }

  bool predicts() const override { return false; }
  Prediction Predict(const PredictionInput&) const override { return {}; }

 protected:
  void CountOwn(const Outcome& outcome, EvaluationStatistics* statistics) const override {
    while (statistics->confusion_size() < 2) statistics->add_confusion(0);
    for (const std::string& note : outcome.notes) {
      const std::vector<absl::string_view> counts = absl::StrSplit(note, ' ');
      uint64_t bytes = 0, tokens = 0;
      if (counts.size() != 2 || !absl::SimpleAtoi(counts[0], &bytes) || !absl::SimpleAtoi(counts[1], &tokens))
        continue;
      statistics->set_confusion(0, statistics->confusion(0) + bytes);
      statistics->set_confusion(1, statistics->confusion(1) + tokens);
    }
  }

  double OwnMetric(Metric metric, const EvaluationStatistics& statistics) const override {
    if (metric == METRIC_PERPLEXITY) return std::exp(MeanLoss(statistics));
    if (metric == METRIC_BITS_PER_BYTE) return BitsPerByte(statistics);
    return std::numeric_limits<double>::quiet_NaN();
  }

 private:
  // As Gao et al. define it ("The Pile", 2020): tokens / bytes of the texts, times the mean loss in bits.
  static double BitsPerByte(const EvaluationStatistics& statistics) {
    if (statistics.confusion_size() < 2 || statistics.confusion(0) == 0)
      return std::numeric_limits<double>::quiet_NaN();
    return static_cast<double>(statistics.confusion(1)) / static_cast<double>(statistics.confusion(0)) *
           MeanLoss(statistics) / kNat;
  }

  static constexpr double kNat = 0.69314718055994530942;  // ln 2
};

}  // namespace

const Task& CausalLanguageModelling() {
  static const CausalLanguageModellingTask kTask;
  return kTask;
}

}  // namespace shoal::tasks
