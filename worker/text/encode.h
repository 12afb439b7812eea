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
#include "proto/job.pb.h"
#include "worker/data/reader.h"
#include "worker/text/dataset.h"

namespace shoal::worker {

// An example of a text, cut to `max_tokens`; with causal-language-modelling its windows of so many, one
// behind the other. Errors: INVALID_ARGUMENT, with file and line, for a label that is none of `labels`.
absl::StatusOr<EncodedPart> EncodeExamples(const ExampleSet& set, const Tokenizer& tokenizer,
                                           size_t max_tokens, TaskType task,
                                           const std::vector<std::string>& labels,
                                           const Progress& progress = NoProgress);

// Examples gathered for the model. Memory is used again: a batch is valid until the next one.
class BatchBuffer {
 public:
  // `labels`: columns of the part's targets.
  Batch Gather(const EncodedPart& part, absl::Span<const uint64_t> examples, uint32_t labels);

 private:
  std::vector<int32_t> tokens_, offsets_, classes_;
  std::vector<float> targets_;
};

}  // namespace shoal::worker
