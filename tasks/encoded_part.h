// Examples as numbers.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "common/base/target_kind.h"

namespace shoal::tasks {

// A part of a job's examples, for example those for training. E: examples, N: their tokens.
struct EncodedPart {
  std::vector<uint64_t> offsets = {0};  // [E+1]: example e is tokens [offsets[e], offsets[e+1])
  std::vector<int32_t> tokens;          // [N]
  std::vector<int32_t> classes;         // for kClass and kTokenClasses; otherwise empty
  std::vector<float> targets;           // for kNumbers; otherwise empty
  // With kTokenClasses: the word (Example.words) of each class that is not negative, since the caller of
  // AppendTokens last cleared it. Not part of a dataset.
  std::vector<uint32_t> words;
  uint64_t cut = 0;  // texts of which tokens are missing, for lack of room. Not part of a dataset

  uint64_t size() const { return offsets.size() - 1; }
  uint64_t length(uint64_t example) const { return offsets[example + 1] - offsets[example]; }
  absl::Span<const int32_t> tokens_of(uint64_t example) const {
    return absl::MakeConstSpan(tokens).subspan(offsets[example], length(example));
  }

  // Appends an example, without its targets.
  void AppendTokens(absl::Span<const uint32_t> example);
  // Appends all examples of `other`, but not its `words`.
  void Append(const EncodedPart& other);
};

// Whether `part` has targets of this kind, exactly as many as its examples need, and no class >= `labels`.
bool HasTargets(const EncodedPart& part, TargetKind kind, uint64_t labels);

}  // namespace shoal::tasks
