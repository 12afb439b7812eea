// Examples as numbers.
#pragma once

#include <cstdint>
#include <vector>

namespace shoal::tasks {

// What a model learns to predict from an example. E: examples, N: their tokens, L: labels.
enum class TargetKind {
  kNone,          // it predicts the example's own tokens
  kClass,         // [E]: one of the labels
  kTokenClasses,  // [N]: one of the labels for each token; negative: none for this token
  kNumbers,       // [E,L]: a number for each label
};

// Whether the loss is a sum over tokens, of which an example has any number; otherwise over the examples.
inline bool IsPerToken(TargetKind kind) {
  return kind == TargetKind::kNone || kind == TargetKind::kTokenClasses;
}

// A part of a job's examples, for example those for training.
struct EncodedPart {
  std::vector<uint64_t> offsets = {0};  // [E+1]: example e is tokens [offsets[e], offsets[e+1])
  std::vector<int32_t> tokens;          // [N]
  std::vector<int32_t> classes;         // for kClass and kTokenClasses; otherwise empty
  std::vector<float> targets;           // for kNumbers; otherwise empty

  uint64_t size() const { return offsets.size() - 1; }
  uint64_t length(uint64_t example) const { return offsets[example + 1] - offsets[example]; }
};

// Whether `part` has targets of this kind, exactly as many as its examples need, and no class >= `labels`.
bool HasTargets(const EncodedPart& part, TargetKind kind, uint64_t labels);

}  // namespace shoal::tasks
