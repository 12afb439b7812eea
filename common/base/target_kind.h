// What a model learns to predict from its examples: what a task (tasks/task.h) gives to a head
// (model/heads.h).
#pragma once

namespace shoal {

// E: examples, N: their tokens, L: labels.
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

}  // namespace shoal
