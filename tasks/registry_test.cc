#include "tasks/registry.h"

#include <cmath>

#include "catch2/catch.hpp"
#include "common/job/job_rules.h"

namespace shoal::tasks {
namespace {

// Two training examples, with labels "1" and "2".
ExampleSet Training(const Task& task) {
  ExampleSet set;
  for (const char* label : {"1", "2"}) {
    set.examples.emplace_back();
    if (task.reads_words()) set.examples.back().words = {{0, 1}};
    set.examples.back().id = label;
    set.examples.back().text = "<e1>a</e1> <e2>b</e2>";
    REQUIRE(task.ReadLabels({label}, &set.examples.back()).ok());
  }
  return set;
}

// Gives every text one token.
class OneToken final : public TextEncoder {
 public:
  std::vector<uint32_t> Encode(absl::string_view, size_t) const override { return {7}; }
  Encoding EncodePair(absl::string_view, absl::string_view, size_t) const override {
    Encoding encoding;
    encoding.Append(7, 0, {0, 1}, TokenSource::kSecond);
    return encoding;
  }
  std::string Decode(absl::Span<const uint32_t>) const override { return ""; }
  std::optional<uint32_t> mask_token() const override { return std::nullopt; }
  std::vector<TextSpan> SplitWords(absl::string_view) const override { return {{0, 1}}; }
  Encoding EncodeWords(absl::string_view, absl::Span<const TextSpan>) const override {
    Encoding encoding;
    encoding.Append(7, 0, {0, 1}, TokenSource::kFirst);
    return encoding;
  }
};

// The statistics of a model that predicts both correctly.
EvaluationStatistics Counted(const Task& task) {
  const ExampleSet training = Training(task);
  DataSpec data;
  data.set_label("label");
  const auto labels = task.LabelsOf(data, training);
  REQUIRE(labels.ok());
  const LabelMap label_map(*labels);
  EncodedPart part;
  for (const Example& example : training.examples)
    REQUIRE(task.AppendExample(example, OneToken(), 2, label_map, &part).ok());
  REQUIRE(HasTargets(part, task.target_kind(), labels->size()));
  const std::vector<int32_t> offsets = {0, 1, 2};
  std::vector<float> logits = part.targets;
  for (int32_t label : part.classes) {
    if (label < 0) continue;  // not a row
    for (size_t i = 0; i < labels->size(); ++i) logits.push_back(static_cast<int32_t>(i) == label ? 2 : 1);
  }
  if (task.target_kind() == TargetKind::kSpan) logits.assign(2 * part.tokens.size(), 0);
  Outcome outcome;
  outcome.labels = *labels;
  outcome.offsets = offsets;
  // One of two intents is out of scope.
  if (task.type() == TASK_INTENT_CLASSIFICATION) part.classes.back() = -1;
  outcome.classes = part.classes;
  outcome.targets = part.targets;
  // Of a language model, which predicts nothing of a single token: the bytes and tokens of each text.
  const std::vector<std::string> of_texts = {"7 2", "7 2"};
  outcome.notes = task.target_kind() == TargetKind::kNone ? of_texts : part.notes;
  outcome.logits = logits;
  outcome.loss = 0.5;
  outcome.loss_rows = 2;
  EvaluationStatistics statistics;
  task.Count(outcome, &statistics);
  task.Conclude(std::nullopt, &statistics);
  return statistics;
}

TEST_CASE("Every task of job files is registered once") {
  const auto* types = TaskType_descriptor();
  CHECK(Tasks().size() == types->value_count());
  for (int i = 0; i < types->value_count(); ++i) {
    INFO(types->value(i)->name());
    const auto type = static_cast<TaskType>(types->value(i)->number());
    REQUIRE(FindTask(type) != nullptr);
    CHECK(FindTask(type)->type() == type);
  }
  CHECK(FindTask(static_cast<TaskType>(77)) == nullptr);
}

TEST_CASE("Every head belongs to a task") {
  for (int head = 0; head < HeadType_descriptor()->value_count(); ++head) {
    const auto type = static_cast<HeadType>(HeadType_descriptor()->value(head)->number());
    CHECK(TaskOf(type).head() == type);
  }
}

TEST_CASE("A task has a value for every metric that its jobs may name or its report shows") {
  for (const Task* task : Tasks()) {
    INFO(TaskType_Name(task->type()));
    const EvaluationStatistics statistics = Counted(*task);
    CHECK(statistics.examples() == 2);
    CHECK(task->MetricValue(METRIC_LOSS, statistics) == 0.25);
    for (int metric : RuleOf(task->type()).metrics())
      CHECK(std::isfinite(MetricValue(task->type(), static_cast<Metric>(metric), statistics)));
    for (Metric metric : task->reported_metrics())
      CHECK(std::isfinite(task->MetricValue(metric, statistics)));
  }
}

TEST_CASE("Without a predicted token no metric has a value, so such a version is never the best") {
  EvaluationStatistics statistics;
  statistics.set_examples(3);
  for (const Metric metric : {METRIC_LOSS, METRIC_PERPLEXITY, METRIC_ACCURACY})
    CHECK(std::isnan(MetricValue(TASK_MASKED_LANGUAGE_MODELLING, metric, statistics)));
}

TEST_CASE("A metric of another task, or of none, has no value") {
  const EvaluationStatistics statistics = Counted(*FindTask(TASK_TEXT_CLASSIFICATION));
  CHECK(std::isnan(MetricValue(TASK_TEXT_CLASSIFICATION, METRIC_MSE, statistics)));
  CHECK(std::isnan(MetricValue(TASK_TEXT_CLASSIFICATION, static_cast<Metric>(77), statistics)));
  CHECK(std::isnan(MetricValue(static_cast<TaskType>(77), METRIC_LOSS, statistics)));
}

Prediction Predicted(TaskType task, const std::vector<float>& logits) {
  const Example example;
  const EncodedPart part;
  return FindTask(task)->Predict(
      {example, part, std::vector<std::string>(logits.size()), logits, OneToken()});
}

TEST_CASE("Values of the labels are probabilities, or the number itself") {
  CHECK(Predicted(TASK_TEXT_CLASSIFICATION, {0, 0}).values == std::vector<float>{0.5f, 0.5f});
  CHECK(Predicted(TASK_MULTILABEL_CLASSIFICATION, {0, 0}).values == std::vector<float>{0.5f, 0.5f});
  CHECK(Predicted(TASK_TEXT_REGRESSION, {3.5f}).values == std::vector<float>{3.5f});
  // Of several labels those that the metrics count as predicted; else the best one.
  CHECK(Predicted(TASK_MULTILABEL_CLASSIFICATION, {0.4f, -1, 0.01f, 0}).chosen == 2);
  CHECK(Predicted(TASK_MULTILABEL_CLASSIFICATION, {-1, -2}).chosen == 0);
  CHECK(Predicted(TASK_TEXT_CLASSIFICATION, {1, 2}).chosen == 1);
  CHECK_FALSE(FindTask(TASK_CAUSAL_LANGUAGE_MODELLING)->predicts());
}

TEST_CASE("A number to predict must be one that float32 holds") {
  Example example;
  for (const char* label : {"0", "-3.5", "3.4e38"})
    CHECK(FindTask(TASK_TEXT_REGRESSION)->ReadLabels({label}, &example).ok());
  for (const char* label : {"1e300", "-1e39", "inf", "nan", "one", "1 2"})
    CHECK_FALSE(FindTask(TASK_TEXT_REGRESSION)->ReadLabels({label}, &example).ok());
}

TEST_CASE("What a task does with labels is what its rule says") {
  for (const Task* task : Tasks()) {
    INFO(TaskType_Name(task->type()));
    CHECK(RuleOf(task->type()).has_classes() == (task->rare_labels() != RareLabels::kKept));
    const bool separates = task->reads_lists() && !task->reads_words();
    CHECK(RuleOf(task->type()).label_separator().empty() == !separates);
  }
}

}  // namespace
}  // namespace shoal::tasks
