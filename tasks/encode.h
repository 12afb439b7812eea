// Labelled texts as numbers, and numbers as batches.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "common/storage/progress.h"
#include "model/batch.h"
#include "model/tokenizer/tokenizer.h"
#include "tasks/data/example.h"
#include "tasks/encoded_part.h"
#include "tasks/task.h"

namespace shoal::tasks {

// Each text as tokens, at most `max_tokens` of them (cut, or in windows: Task::cuts_windows), with its
// targets. `labels`: Task::LabelsOf the training examples. Errors: INVALID_ARGUMENT, with file and line, for
// a label that is none of `labels`.
absl::StatusOr<EncodedPart> EncodeExamples(const ExampleSet& set, const Tokenizer& tokenizer,
                                           size_t max_tokens, const Task& task,
                                           const std::vector<std::string>& labels,
                                           const Progress& progress = NoProgress);

// Examples gathered for the model. Memory is used again: a batch is valid until the next one.
class BatchBuffer {
 public:
  BatchBuffer(TargetKind kind, uint64_t labels) : kind_(kind), labels_(labels) {}

  // `part`: with targets of this kind and number of labels, or with none.
  Batch Gather(const EncodedPart& part, absl::Span<const uint64_t> examples);

 private:
  void AddTargets(const EncodedPart& part, uint64_t example);

  TargetKind kind_;
  uint64_t labels_;
  std::vector<int32_t> tokens_, offsets_, classes_;
  std::vector<float> targets_;
};

// Rows of logits that Model::Evaluate gives of a batch with targets of this kind.
int64_t LogitRows(TargetKind kind, const Batch& batch);

}  // namespace shoal::tasks
