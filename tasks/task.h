// What a job learns: how labels become targets, which head the model has, what an evaluation counts, and
// which metrics follow. One task, one object, one file; tasks/registry.h finds them.
//
// What a task requires of its job (formats, tokenizers, families, metrics, defaults) is declared with its
// word in proto/job.proto, because servers and clients, which know no tasks, check jobs too.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "common/base/encoding.h"
#include "proto/job.pb.h"
#include "proto/scheduler.pb.h"
#include "tasks/data/example.h"
#include "tasks/data/label_reader.h"
#include "tasks/encoded_part.h"
#include "tasks/label_counts.h"
#include "tasks/label_map.h"

namespace shoal::tasks {

// An example and the tokens of its text.
struct EncodedExample {
  const Example& example;
  absl::Span<const int32_t> tokens;
};

// The tokenizer of the job's model, as a task uses it: the scheduler, which has no models, links tasks.
// Immutable; any thread.
class TextEncoder {
 public:
  virtual ~TextEncoder() = default;
  // These four are those of model::Tokenizer.
  virtual std::vector<uint32_t> Encode(absl::string_view text, size_t max_tokens) const = 0;
  virtual Encoding EncodePair(absl::string_view text, absl::string_view pair, size_t max_tokens) const = 0;
  virtual Encoding EncodeWords(absl::string_view text, absl::Span<const TextSpan> words) const = 0;
  virtual std::string Decode(absl::Span<const uint32_t> ids) const = 0;
  // The token that hides another one, also in texts to predict from; nullopt: the vocabulary has none.
  virtual std::optional<uint32_t> mask_token() const = 0;
  // As in model/tokenizer/words.h.
  virtual std::vector<TextSpan> SplitWords(absl::string_view text) const = 0;
};

// A part of a text with a label, as a task predicts it.
struct LabelledSpan {
  std::string label;
  TextSpan place;      // in the text
  float score = 0;     // probability
  uint32_t group = 0;  // spans of one group are alternatives
};

// What a task predicts of a text.
struct Prediction {
  std::vector<float> values;  // for each label a probability, or the number itself; empty where parts of the
                              // text have labels
  size_t chosen = 0;          // how many of the labels, those of the largest values, are predicted
  // The parts that are predicted to have a label, in order; of alternatives, the most probable one first.
  std::vector<LabelledSpan> spans;
  size_t alternatives = 0;  // how many of each group are shown unless more are asked for; 0: there are none
  bool in_pair = false;     // the spans are parts of the example's pair
};

// What a prediction is made from.   L: labels, R: rows of logits, as in Outcome
struct PredictionInput {
  const Example& example;                // of Task::ExampleOf
  const EncodedPart& part;               // of Task::AppendTokens alone
  absl::Span<const std::string> labels;  // [L]
  absl::Span<const float> logits;  // [R,columns] of all examples of `part`, L columns if there are labels
  const TextEncoder& encoder;
  double threshold = 0;  // Task::ThresholdOf the model's validation; 0: none
};

// A model's output for a batch.   B: examples, N: tokens, L: labels
// R: rows of logits: B; with kTokenClasses one for each token whose class is not negative, in order; with
// kSpan N
struct Outcome {
  absl::Span<const std::string> labels;  // [L]: those of LabelsOf
  absl::Span<const int32_t> offsets;     // [B+1]: example b is tokens [offsets[b], offsets[b+1])
  absl::Span<const float> logits;        // [R,L], with kSpan [N,2]; empty with kNone and kHiddenTokens
  absl::Span<const int32_t> classes;     // [B] with kClass; [N] where tokens have classes
  absl::Span<const std::string> notes;   // [B]: EncodedPart.notes, or empty
  absl::Span<const float> targets;       // [B,L] with kNumbers
  double loss = 0;                       // sum over loss_rows
  int64_t loss_rows = 0;
  int64_t correct = 0;  // of these, whose largest logit is the target's (cross-entropy only)

  int64_t examples() const { return static_cast<int64_t>(offsets.size()) - 1; }
};

// Works only on numbers and strings, so that the scheduler, which has no models, can ask it for metrics.
// Immutable; any thread.
class Task : public LabelReader {
 public:
  virtual TaskType type() const = 0;

  // ---- the model ----

  virtual HeadType head() const = 0;

  // ---- labels and targets ----

  // The labels that the model has logits for, in the same order; none with kNone. Errors: INVALID_ARGUMENT,
  // naming data.label, when `training` has too few.
  virtual absl::StatusOr<std::vector<std::string>> LabelsOf(const DataSpec& data,
                                                            const ExampleSet& training) const = 0;
  virtual TargetKind target_kind() const = 0;
  // The example of a text, which is valid UTF-8, whose labels are to be predicted.
  virtual Example ExampleOf(std::string text, const TextEncoder& encoder) const;
  // Whether anything can be predicted of it. Errors: INVALID_ARGUMENT.
  virtual absl::Status CheckExample(const Example& /*example*/) const { return absl::OkStatus(); }
  // Appends the tokens of an example, as for a prediction: here as one example, with its text or pair of
  // texts cut to `max_tokens`. A task may override this to make several examples of it, or to encode it in
  // another way. With kTokenClasses `part->classes` then says which tokens a label is predicted for: those
  // that are not negative; with kSpan, which may be in a span. A task may add notes for itself.
  virtual void AppendTokens(const Example& example, const TextEncoder& encoder, size_t max_tokens,
                            EncodedPart* part) const;
  // Makes of a text what tokens, and a vocabulary, are made from; of one that it has made, the same.
  virtual void RewriteText(std::string* /*text*/) const {}
  // Appends the tokens of an example, and the targets: here AppendTargets of each of AppendTokens' examples.
  // Errors: INVALID_ARGUMENT, without file and line, for a label that is not one of `labels`; `part` may then
  // hold some of the example.
  virtual absl::Status AppendExample(const Example& example, const TextEncoder& encoder, size_t max_tokens,
                                     const LabelMap& labels, EncodedPart* part) const;

  // ---- evaluation ----

  // Adds a batch to `statistics`. Only the task and tasks/statistics.h interpret them.
  void Count(const Outcome& outcome, EvaluationStatistics* statistics) const;
  // Called once, when the statistics of all examples are added up, before MetricValue and ReportLabels:
  // counts what only all of them together tell. `threshold`: the one that was chosen on the validation
  // examples (ThresholdOf), or 0 if they were not evaluated; nullopt when these are the validation examples.
  virtual void Conclude(std::optional<double> /*threshold*/, EvaluationStatistics* /*statistics*/) const {}
  // The threshold below which no label is predicted, chosen on these concluded statistics; nullopt: the task
  // has none.
  virtual std::optional<double> ThresholdOf(const EvaluationStatistics& /*statistics*/) const {
    return std::nullopt;
  }
  // NaN where there is no value: without examples, for the correlation of a constant, for a metric that the
  // task does not have. METRIC_LOSS is the mean loss for every task.
  double MetricValue(Metric metric, const EvaluationStatistics& statistics) const;
  // The metrics that a report shows besides the loss, in this order.
  virtual std::vector<Metric> reported_metrics() const = 0;
  // How often examples of each label (rows) were predicted to have each label (columns), row-major; empty
  // when the statistics do not say.
  virtual std::vector<uint64_t> ConfusionMatrix(size_t /*labels*/,
                                                const EvaluationStatistics& /*statistics*/) const {
    return {};
  }
  // The report's table; empty when the task has none. `labels`: those of LabelsOf.
  virtual LabelTable ReportLabels(absl::Span<const std::string> /*labels*/,
                                  const EvaluationStatistics& /*statistics*/) const {
    return {};
  }

  // ---- prediction ----

  // Whether it predicts anything of a text by itself.
  virtual bool predicts() const { return true; }
  // Only when it does.
  virtual Prediction Predict(const PredictionInput& of) const = 0;

 protected:
  // For AppendExample: appends the example's targets to `part->classes` or `part->targets`; none with kNone.
  virtual absl::Status AppendTargets(const EncodedExample& /*example*/, const LabelMap& /*labels*/,
                                     EncodedPart* /*part*/) const {
    return absl::OkStatus();
  }
  // Counts what the task needs besides examples, loss and the rows that the loss is summed over.
  virtual void CountOwn(const Outcome& outcome, EvaluationStatistics* statistics) const = 0;
  // For the metrics of the task's rule and of reported_metrics, except METRIC_LOSS; NaN for any other.
  virtual double OwnMetric(Metric metric, const EvaluationStatistics& statistics) const = 0;
};

}  // namespace shoal::tasks
