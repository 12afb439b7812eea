// Labelled texts as numbers, and numbers as batches.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "common/base/thread_pool.h"
#include "common/storage/progress.h"
#include "model/batch.h"
#include "model/tokenizer/tokenizer.h"
#include "model/tokenizer/words.h"
#include "tasks/data/example.h"
#include "tasks/encoded_part.h"
#include "tasks/masking.h"
#include "tasks/task.h"

namespace shoal::tasks {

// The tokens of each text with its targets, at most `max_tokens` per example of the result (which examples
// and tokens: Task::AppendExample). `labels`: Task::LabelsOf of the training examples. Errors:
// INVALID_ARGUMENT, with file and line, for a label that is not one of `labels`. The result does not depend
// on `pool`, whose threads share the work; null: the caller's alone.
absl::StatusOr<EncodedPart> EncodeExamples(const ExampleSet& set, const model::Tokenizer& tokenizer,
                                           size_t max_tokens, const Task& task,
                                           const std::vector<std::string>& labels,
                                           const Progress& progress = NoProgress, ThreadPool* pool = nullptr);

// A tokenizer as tasks use it. It must outlive the encoder.
class TokenizerEncoder final : public TextEncoder {
 public:
  explicit TokenizerEncoder(const model::Tokenizer& tokenizer) : tokenizer_(tokenizer) {}
  std::vector<uint32_t> Encode(absl::string_view text, size_t max_tokens) const override {
    return tokenizer_.Encode(text, max_tokens);
  }
  Encoding EncodePair(absl::string_view text, absl::string_view pair, size_t max_tokens) const override {
    return tokenizer_.EncodePair(text, pair, max_tokens);
  }
  Encoding EncodeWords(absl::string_view text, absl::Span<const TextSpan> words) const override {
    return tokenizer_.EncodeWords(text, words);
  }
  std::string Decode(absl::Span<const uint32_t> ids) const override { return tokenizer_.Decode(ids); }
  std::optional<uint32_t> mask_token() const override {
    const model::SpecialTokens& special = tokenizer_.special();
    return special.mask == special.unk ? std::nullopt : std::optional<uint32_t>(special.mask);
  }
  std::vector<TextSpan> SplitWords(absl::string_view text) const override { return model::SplitWords(text); }

 private:
  const model::Tokenizer& tokenizer_;
};

// Gathers examples for the model. Memory is reused: a batch is valid until the next one.
class BatchBuffer {
 public:
  BatchBuffer(TargetKind kind, uint64_t labels) : kind_(kind), labels_(labels) {}

  // `part` has targets of this kind and number of labels, or none. With kHiddenTokens `masking` says which
  // are hidden.
  model::Batch Gather(const EncodedPart& part, absl::Span<const uint64_t> examples,
                      const Masking* masking = nullptr);
  // Of the last batch's examples; empty when there are none.
  absl::Span<const std::string> notes() const { return notes_; }

 private:
  void AddTargets(const EncodedPart& part, uint64_t example);

  TargetKind kind_;
  uint64_t labels_;
  std::vector<int32_t> tokens_, types_, offsets_, classes_;
  std::vector<float> targets_;
  std::vector<std::string> notes_;
};

// The number of rows of logits that a head with targets of this kind has for a batch.
int64_t LogitRows(TargetKind kind, const model::Batch& batch);

// Whether evaluation needs the logits. Otherwise, where they have a column for each token of the vocabulary,
// the loss and the count of correct predictions are enough.
bool EvaluationNeedsLogits(TargetKind kind);

}  // namespace shoal::tasks
