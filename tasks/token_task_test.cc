// Runs token classification, a task that does not exist yet, through encoding, gathering and counting: adding
// it takes a file of its own, and no change to what is tested here.
#include <algorithm>
#include <limits>
#include <string>
#include <vector>

#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "catch2/catch.hpp"
#include "common/base/status.h"
#include "model/tokenizer/byte_tokenizer.h"
#include "tasks/encode.h"
#include "tasks/evaluation.h"
#include "tasks/statistics.h"
#include "tasks/task.h"

namespace shoal::tasks {
namespace {

// A label for each word, learned at its first token; words, which are separated by spaces, are encoded one by
// one. Statistics: confusion[label][right, wrong].
class TokenTask final : public Task {
 public:
  TaskType type() const override { return static_cast<TaskType>(77); }
  HeadType head() const override { return static_cast<HeadType>(77); }

  bool reads_lists() const override { return true; }
  absl::Status ReadLabels(std::vector<std::string> labels, Example* example) const override {
    example->labels = std::move(labels);
    return absl::OkStatus();
  }
  RareLabels rare_labels() const override { return RareLabels::kKept; }

  absl::StatusOr<std::vector<std::string>> LabelsOf(const DataSpec&, const ExampleSet&) const override {
    return std::vector<std::string>{"O", "PER"};
  }
  TargetKind target_kind() const override { return TargetKind::kTokenClasses; }
  absl::Status AppendExample(const Example& example, const TextEncoder& encoder, size_t max_tokens,
                             const LabelMap& labels, EncodedPart* part) const override {
    std::vector<uint32_t> tokens;
    size_t word = 0;
    for (absl::string_view text : absl::StrSplit(example.text, ' ')) {
      const size_t rest = max_tokens - tokens.size();
      if (rest < 2) break;
      SHOAL_ASSIGN_OR_RETURN(const int32_t label, labels.Find(example.labels[word++]));
      const std::vector<uint32_t> of_word = encoder.Encode(text, rest);
      tokens.insert(tokens.end(), of_word.begin(), of_word.end());
      part->classes.push_back(label);
      part->classes.resize(part->classes.size() + of_word.size() - 1, -1);
    }
    part->AppendTokens(tokens);
    return absl::OkStatus();
  }

  std::vector<Metric> reported_metrics() const override { return {METRIC_MICRO_F1}; }
  std::vector<float> Predict(absl::Span<const float> logits) const override {
    return {logits.begin(), logits.end()};
  }

 protected:
  void CountOwn(const Outcome& outcome, EvaluationStatistics* statistics) const override {
    size_t row = 0;
    for (int32_t label : outcome.classes) {
      if (label < 0) continue;
      const bool says_person = outcome.logits[2 * row + 1] > outcome.logits[2 * row];
      CountCell(2 * label + (says_person == (label == 1) ? 0 : 1), 4, statistics);
      ++row;
    }
  }
  double OwnMetric(Metric metric, const EvaluationStatistics& statistics) const override {
    if (metric != METRIC_MICRO_F1) return std::numeric_limits<double>::quiet_NaN();
    const auto& cells = statistics.confusion();
    return ReportOf({cells[2], cells[1], cells[3]}).f1;
  }
};

TEST_CASE("A task with one label per word needs nothing but its own file") {
  const TokenTask task;
  ExampleSet set;
  set.files = {"words"};
  set.examples.resize(2);
  set.examples[0].text = "an ox";
  set.examples[1].text = "Ada";
  REQUIRE(task.ReadLabels({"O", "O"}, &set.examples[0]).ok());
  REQUIRE(task.ReadLabels({"PER"}, &set.examples[1]).ok());
  const auto labels = task.LabelsOf({}, set);
  REQUIRE(labels.ok());

  const auto part = EncodeExamples(set, *model::MakeByteTokenizer(), 6, task, *labels);
  REQUIRE(part.ok());
  CHECK(part->tokens == std::vector<int32_t>{'a', 'n', 256, 'o', 'x', 256, 'A', 'd', 'a', 256});
  CHECK(part->classes == std::vector<int32_t>{0, -1, -1, 0, -1, -1, 1, -1, -1, -1});
  CHECK(HasTargets(*part, TargetKind::kTokenClasses, 2));
  CHECK_FALSE(HasTargets(*part, TargetKind::kTokenClasses, 1));
  CHECK_FALSE(HasTargets(*part, TargetKind::kClass, 2));

  BatchBuffer buffer(task.target_kind(), labels->size());
  const model::Batch batch = buffer.Gather(*part, {1, 0});
  CHECK(std::vector<int32_t>(batch.classes.begin(), batch.classes.end()) ==
        std::vector<int32_t>{1, -1, -1, -1, 0, -1, -1, 0, -1, -1});
  REQUIRE(LogitRows(task.target_kind(), batch) == 3);

  EvaluationStatistics statistics;
  CountBatch(task, batch, {0, 1, 0, 1, 1, 0}, {/*loss=*/3, /*rows=*/3, 0}, &statistics);
  CHECK(statistics.examples() == 2);
  CHECK(statistics.predicted_tokens() == 3);
  CHECK(task.MetricValue(METRIC_LOSS, statistics) == 1);
  CHECK(task.MetricValue(METRIC_MICRO_F1, statistics) == Approx(2.0 / 3));

  set.examples[1].labels = {"LOC"};
  const auto wrong = EncodeExamples(set, *model::MakeByteTokenizer(), 6, task, *labels);
  CHECK(std::string(wrong.status().message()).find("words:0: the label 'LOC'") == 0);
}

}  // namespace
}  // namespace shoal::tasks
