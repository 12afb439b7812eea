// Examples as numbers.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "common/base/target_kind.h"

namespace shoal::tasks {

// A part of a job's examples, for example those for training. E: examples, N: their tokens.
struct EncodedPart {
  std::vector<uint64_t> offsets = {0};  // [E+1]: example e is tokens [offsets[e], offsets[e+1])
  std::vector<int32_t> tokens;          // [N]
  std::vector<int32_t> types;           // [N]: token types; empty: all are 0
  std::vector<int32_t> classes;         // for kClass and where tokens have classes; otherwise empty
  std::vector<float> targets;           // for kNumbers; otherwise empty
  // With kTokenClasses: the word (Example.words) of each class that is not negative, since the caller of
  // AppendTokens last cleared it. Not part of a dataset.
  std::vector<uint32_t> words;
  // Of each example, what the task needs to judge a prediction (Task::AppendTokens); or none. Only those of
  // examples to evaluate are part of a dataset.
  std::vector<std::string> notes;
  uint64_t cut = 0;  // texts of which tokens are missing, for lack of room. Not part of a dataset

  uint64_t size() const { return offsets.size() - 1; }
  uint64_t length(uint64_t example) const { return offsets[example + 1] - offsets[example]; }
  absl::Span<const int32_t> tokens_of(uint64_t example) const {
    return absl::MakeConstSpan(tokens).subspan(offsets[example], length(example));
  }

  // Appends an example, without its targets. `types_of`: as many token types; empty: all are 0.
  void AppendTokens(absl::Span<const uint32_t> example, absl::Span<const uint32_t> types_of = {});
  // Appends all examples of `other`, but not its `words`.
  void Append(const EncodedPart& other);
};

// Makes the part fit a model with `token_types` types of tokens: one that has none (DistilBERT) does without.
// Errors: INVALID_ARGUMENT when a token has a type that the model lacks.
absl::Status FitTypes(uint64_t token_types, EncodedPart* part);

// Whether there are token types, if any, for all tokens, and none is not below `token_types`.
bool HasTypes(const EncodedPart& part, uint64_t token_types);

// Whether `part` has targets of this kind, exactly as many as its examples need, and no class that is too
// large, and as many notes as examples, or none.
bool HasTargets(const EncodedPart& part, TargetKind kind, uint64_t labels);

}  // namespace shoal::tasks
