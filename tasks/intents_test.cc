// Labels that a text may have none of.
#include <cmath>
#include <optional>
#include <string>
#include <vector>

#include "catch2/catch.hpp"
#include "tasks/registry.h"
#include "tasks/statistics.h"

namespace shoal::tasks {
namespace {

const Task& IntentTask() { return *FindTask(TASK_INTENT_CLASSIFICATION); }

// An example of two labels, of which the first has this probability.
struct Judged {
  double probability = 0;
  int32_t truth = 0;  // -1: out of scope
};

EvaluationStatistics Counted(const std::vector<Judged>& examples) {
  EvaluationStatistics all;
  const std::vector<std::string> labels = {"a", "b"};
  for (const Judged& example : examples) {
    const std::vector<int32_t> offsets = {0, 1}, classes = {example.truth};
    const std::vector<float> logits = {
        static_cast<float>(std::log(example.probability / (1 - example.probability))), 0};
    Outcome outcome;
    outcome.labels = labels;
    outcome.offsets = offsets;
    outcome.classes = classes;
    outcome.logits = logits;
    outcome.loss = example.truth < 0 ? 0 : 0.5;
    outcome.loss_rows = example.truth < 0 ? 0 : 1;
    EvaluationStatistics statistics;
    IntentTask().Count(outcome, &statistics);
    AddStatistics(statistics, &all);
  }
  return all;
}

double Accuracy(const EvaluationStatistics& of) { return IntentTask().MetricValue(METRIC_ACCURACY, of); }
double Recall(const EvaluationStatistics& of) {
  return IntentTask().MetricValue(METRIC_OUT_OF_SCOPE_RECALL, of);
}

TEST_CASE("The threshold is where accuracy in scope and recall out of scope are best together") {
  EvaluationStatistics validation =
      Counted({{0.95, 0}, {0.9, 0}, {0.85, 0}, {0.7, 0}, {0.9, 1}, {0.6, -1}, {0.75, -1}});
  CHECK(Accuracy(validation) == Approx(0.8));  // nothing is rejected before a threshold is chosen
  CHECK(Recall(validation) == 0);
  IntentTask().Conclude(std::nullopt, &validation);
  const std::optional<double> threshold = IntentTask().ThresholdOf(validation);
  REQUIRE(threshold.has_value());
  CHECK(*threshold == Approx(0.751).margin(0.002));
  CHECK(Accuracy(validation) == Approx(0.6));
  CHECK(Recall(validation) == 1);
  CHECK(MeanLoss(validation) == Approx(0.5));  // of what is in scope

  EvaluationStatistics test = Counted({{0.76, 0}, {0.74, 0}, {0.6, -1}, {0.99, -1}});
  IntentTask().Conclude(threshold, &test);
  CHECK(Accuracy(test) == Approx(0.5));
  CHECK(Recall(test) == Approx(0.5));
}

TEST_CASE("Without texts out of scope nothing is rejected") {
  EvaluationStatistics statistics = Counted({{0.55, 0}, {0.9, 0}, {0.9, 1}});
  IntentTask().Conclude(std::nullopt, &statistics);
  CHECK(IntentTask().ThresholdOf(statistics) == 0.0);
  CHECK(Accuracy(statistics) == Approx(2.0 / 3));
  CHECK(std::isnan(Recall(statistics)));
}

TEST_CASE("The label oos is learned by no model, and makes an example without a label") {
  ExampleSet training;
  for (const char* label : {"a", "oos", "b", "a"}) training.examples.emplace_back().labels = {label};
  const auto labels = IntentTask().LabelsOf({}, training);
  REQUIRE(labels.ok());
  CHECK(*labels == std::vector<std::string>{"a", "b"});
  training.examples.resize(2);
  CHECK_FALSE(IntentTask().LabelsOf({}, training).ok());
}

TEST_CASE("A text whose label is not probable enough gets none") {
  const Example example;
  const EncodedPart part;
  class NoEncoder final : public TextEncoder {
    std::vector<uint32_t> Encode(absl::string_view, size_t) const override { return {}; }
    Encoding EncodePair(absl::string_view, absl::string_view, size_t) const override { return {}; }
    std::string Decode(absl::Span<const uint32_t>) const override { return ""; }
    std::optional<uint32_t> mask_token() const override { return std::nullopt; }
    std::vector<TextSpan> SplitWords(absl::string_view) const override { return {}; }
    Encoding EncodeWords(absl::string_view, absl::Span<const TextSpan>) const override { return {}; }
  } encoder;
  const std::vector<std::string> labels = {"a", "b"};
  const std::vector<float> logits = {1, 0};  // 0.731
  const auto chosen = [&](double threshold) {
    return IntentTask().Predict({example, part, labels, logits, encoder, threshold}).chosen;
  };
  CHECK(chosen(0) == 1);
  CHECK(chosen(0.7) == 1);
  CHECK(chosen(0.74) == 0);
}

}  // namespace
}  // namespace shoal::tasks
