#include <cmath>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "catch2/catch.hpp"
#include "tasks/registry.h"
#include "tasks/statistics.h"

namespace shoal::tasks {
namespace {

EvaluationStatistics Confusion(std::initializer_list<uint64_t> cells) {
  EvaluationStatistics statistics;
  for (uint64_t cell : cells) statistics.add_confusion(cell);
  return statistics;
}

TEST_CASE("Accuracy and F1 of a confusion matrix are those of the formulas") {
  // Rows: truth. 3 labels, 10 examples, the third label never occurs.
  const EvaluationStatistics statistics = Confusion({4, 1, 0, 2, 3, 0, 0, 0, 0});
  CHECK(MetricValue(TASK_TEXT_CLASSIFICATION, METRIC_ACCURACY, statistics) == 0.7);
  const double first = 2.0 * 4 / (6 + 5), second = 2.0 * 3 / (4 + 5);
  CHECK(MetricValue(TASK_TEXT_CLASSIFICATION, METRIC_MACRO_F1, statistics) == Approx((first + second) / 2));
  const std::vector<std::string> labels = {"a", "b", "c"};
  const std::vector<LabelReport> reports =
      FindTask(TASK_TEXT_CLASSIFICATION)->ReportLabels(labels, statistics).labels;
  REQUIRE(reports.size() == 3);
  CHECK(reports[0].precision == Approx(4.0 / 6));
  CHECK(reports[0].recall == Approx(4.0 / 5));
  CHECK(reports[2].label == "c");
  CHECK(std::isnan(reports[2].f1));
}

TEST_CASE("A ratio of nothing has no value, and macro F1 is the mean of those that have one") {
  // Rows: truth. Label 1 has no examples, label 2 is never predicted, label 3 neither.
  const EvaluationStatistics statistics = Confusion({6, 2, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0});
  const std::vector<std::string> labels = {"a", "b", "c", "d"};
  const std::vector<LabelReport> reports =
      FindTask(TASK_TEXT_CLASSIFICATION)->ReportLabels(labels, statistics).labels;
  REQUIRE(reports.size() == 4);
  CHECK(reports[1].precision == 0);
  CHECK(std::isnan(reports[1].recall));
  CHECK(reports[1].f1 == 0);
  CHECK(std::isnan(reports[2].precision));
  CHECK(reports[2].recall == 0);
  CHECK(reports[2].f1 == 0);
  for (double ratio : {reports[3].precision, reports[3].recall, reports[3].f1}) CHECK(std::isnan(ratio));
  CHECK(MetricValue(TASK_TEXT_CLASSIFICATION, METRIC_MACRO_F1, statistics) == Approx(reports[0].f1 / 3));
}

// The statistics of one example for each pair of truth and prediction, of a classifier with `labels` labels.
EvaluationStatistics Classified(const std::vector<std::pair<int32_t, int32_t>>& pairs, size_t labels) {
  const std::vector<int32_t> offsets = {0, 1};
  const std::vector<std::string> names(labels);
  EvaluationStatistics statistics;
  for (const auto& [truth, prediction] : pairs) {
    std::vector<float> logits(labels);
    logits[prediction] = 1;
    Outcome outcome;
    outcome.labels = names;
    outcome.offsets = offsets;
    outcome.classes = {&truth, 1};
    outcome.logits = logits;
    FindTask(TASK_TEXT_CLASSIFICATION)->Count(outcome, &statistics);
  }
  return statistics;
}

// 401 labels are the fewest that have no matrix, and 4 * 4,096 is a square.
TEST_CASE("A classifier of very many labels has a few counts per label, and the metrics of a matrix") {
  const std::vector<std::pair<int32_t, int32_t>> pairs = {{0, 0}, {0, 0}, {0, 2}, {2, 2}, {2, 0}, {1, 2}};
  const EvaluationStatistics matrix = Classified(pairs, 3);
  CHECK(matrix.confusion_size() == 9);
  for (size_t labels : {401, 4096, 10000}) {
    const EvaluationStatistics counts = Classified(pairs, labels);
    CHECK(counts.confusion_size() < 5 * static_cast<int>(labels));
    for (Metric metric : {METRIC_ACCURACY, METRIC_MACRO_F1}) {
      CHECK(MetricValue(TASK_TEXT_CLASSIFICATION, metric, counts) ==
            MetricValue(TASK_TEXT_CLASSIFICATION, metric, matrix));
    }
    const std::vector<std::string> names(labels, "label");
    const auto reports = FindTask(TASK_TEXT_CLASSIFICATION)->ReportLabels(names, counts).labels;
    REQUIRE(reports.size() == labels);
    CHECK(reports[0].support == 3);
    CHECK(reports[2].predicted == 3);
    CHECK(reports[3].predicted == 0);
  }
}

TEST_CASE("Several labels per example are counted label by label") {
  const EvaluationStatistics statistics = Confusion({5, 1, 2, 2, 8, 0, 1, 1});  // tn fp fn tp
  CHECK(MetricValue(TASK_MULTILABEL_CLASSIFICATION, METRIC_MICRO_F1, statistics) ==
        Approx(2.0 * 3 / (6 + 4)));
}

TEST_CASE("The correlation of a line is 1, and statistics of slots add up") {
  EvaluationStatistics all;
  for (double x : {1.0, 2.0, 4.0}) {
    EvaluationStatistics slot;
    const double y = 2 * x + 1;
    slot.set_examples(1);
    slot.set_loss((x - y) * (x - y));
    for (double value : {x, y, x * x, y * y, x * y, (x - y) * (x - y)}) slot.add_sums(value);
    AddStatistics(slot, &all);
  }
  CHECK(MetricValue(TASK_TEXT_REGRESSION, METRIC_PEARSON, all) == Approx(1.0));
  CHECK(MetricValue(TASK_TEXT_REGRESSION, METRIC_MSE, all) == Approx((4.0 + 9 + 25) / 3));
  CHECK(MeanLoss(all) == Approx((4.0 + 9 + 25) / 3));
}

TEST_CASE("Without examples no metric has a value") {
  CHECK(std::isnan(MetricValue(TASK_TEXT_CLASSIFICATION, METRIC_ACCURACY, {})));
  CHECK(std::isnan(MetricValue(TASK_MULTILABEL_CLASSIFICATION, METRIC_MICRO_F1, {})));
  CHECK(std::isnan(MeanLoss({})));
}

TEST_CASE("Loss and perplexity of a language model are per predicted token") {
  EvaluationStatistics all;
  for (int i = 1; i <= 2; ++i) {
    EvaluationStatistics slot;
    slot.set_examples(1);
    slot.set_predicted_tokens(10 * i);
    slot.set_loss(30 * i);
    AddStatistics(slot, &all);
  }
  CHECK(all.examples() == 2);
  CHECK(MeanLoss(all) == 3);
  CHECK(MetricValue(TASK_CAUSAL_LANGUAGE_MODELLING, METRIC_PERPLEXITY, all) == Approx(std::exp(3.0)));
  CHECK(std::isnan(MetricValue(TASK_CAUSAL_LANGUAGE_MODELLING, METRIC_BITS_PER_BYTE, all)));
  all.add_confusion(100);  // bytes
  all.add_confusion(25);   // tokens
  CHECK(MetricValue(TASK_CAUSAL_LANGUAGE_MODELLING, METRIC_BITS_PER_BYTE, all) ==
        Approx(3.0 / std::log(2.0) / 4));
}

}  // namespace
}  // namespace shoal::tasks
