// What a job learns: how labels become targets, what stands on the model, what an evaluation counts, and what
// that comes to. One task, one object, one file; tasks/registry.h finds them.
//
// What a task asks of its job (formats, tokenizers, families, metrics, defaults) is beside its word in
// proto/job.proto: servers and clients, which know no tasks, check jobs as well.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "proto/job.pb.h"
#include "proto/scheduler.pb.h"
#include "tasks/data/example.h"
#include "tasks/data/label_reader.h"
#include "tasks/encoded_part.h"
#include "tasks/label_counts.h"
#include "tasks/label_map.h"

namespace shoal::tasks {

// An example and what its text became.
struct EncodedExample {
  const Example& example;
  absl::Span<const int32_t> tokens;
};

// What a model made of a batch.   B: examples, N: tokens, L: labels
// R: rows of logits: B, but with kTokenClasses those tokens whose class is not negative, in order
struct Outcome {
  absl::Span<const int32_t> offsets;  // [B+1]: example b is tokens [offsets[b], offsets[b+1])
  absl::Span<const float> logits;     // [R,L]; empty with kNone
  absl::Span<const int32_t> classes;  // [B] of kClass, [N] of kTokenClasses
  absl::Span<const float> targets;    // [B,L] of kNumbers
  double loss = 0;                    // sum over loss_rows
  int64_t loss_rows = 0;

  int64_t examples() const { return static_cast<int64_t>(offsets.size()) - 1; }
};

// Works on numbers alone, so that the scheduler, which has no models, can ask it for metrics. Immutable; any
// thread.
class Task : public LabelReader {
 public:
  virtual TaskType type() const = 0;

  // ---- the model ----

  virtual HeadType head() const = 0;
  // A text that is longer than a model's max_length becomes several examples, windows one behind the other;
  // otherwise it is cut.
  virtual bool cuts_windows() const { return false; }

  // ---- labels and targets ----

  // What the model has logits for, in their order; none with kNone. Errors: INVALID_ARGUMENT that names
  // data.label when `training` has too few.
  virtual absl::StatusOr<std::vector<std::string>> LabelsOf(const DataSpec& data,
                                                            const ExampleSet& training) const = 0;
  virtual TargetKind target_kind() const = 0;
  // Appends the example's targets to classes or targets of `part`. Errors: INVALID_ARGUMENT, without file and
  // line, for a label that is none of `labels`; `part` may then hold some of the targets.
  virtual absl::Status AppendTargets(const EncodedExample& example, const LabelMap& labels,
                                     EncodedPart* part) const = 0;

  // ---- evaluation ----

  // Adds a batch to `statistics`. Nobody but the task looks into them, apart from tasks/statistics.h.
  void Count(const Outcome& outcome, EvaluationStatistics* statistics) const;
  // NaN where it has none: without examples, of a correlation of constants, of a metric that the task does
  // not have. METRIC_LOSS is the mean loss with any task.
  double MetricValue(Metric metric, const EvaluationStatistics& statistics) const;
  // What a report shows beside the loss, in this order.
  virtual std::vector<Metric> reported_metrics() const = 0;
  // The report's table; empty when the task has none. `labels`: LabelsOf.
  virtual std::vector<LabelReport> ReportLabels(absl::Span<const std::string> /*labels*/,
                                                const EvaluationStatistics& /*statistics*/) const {
    return {};
  }

  // ---- prediction ----

  // From the logits of a row, a value for each label: probabilities, or the numbers themselves.
  virtual std::vector<float> Predict(absl::Span<const float> logits) const = 0;

 protected:
  // What the task counts beside examples and loss.
  virtual void CountOwn(const Outcome& outcome, EvaluationStatistics* statistics) const = 0;
  // Of the metrics in the task's rule but METRIC_LOSS; others: NaN.
  virtual double OwnMetric(Metric metric, const EvaluationStatistics& statistics) const = 0;
};

}  // namespace shoal::tasks
