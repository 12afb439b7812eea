// What a model learns to predict from its examples: what a task (tasks/task.h) gives to a head
// (model/heads.h).
#pragma once

namespace shoal {

// E: examples, N: their tokens, L: labels.
enum class TargetKind {
  kNone,          // it predicts the example's own tokens
  kClass,         // [E]: one of the labels; negative: none
  kTokenClasses,  // [N]: one of the labels for each token; negative: none for this token
  kHiddenTokens,  // [N]: in a batch what a hidden token was; in a data set the word of each token, since
                  // the hidden ones are redrawn in each round (tasks/masking.h); negative: it is not, or
                  // never, hidden
  kSpan,          // [N]: what a token is to the span that an example has, see below; negative: it can't be
                  // in one
  kNumbers,       // [E,L]: a number for each label
};

// With kSpan, the bits of a class. An example without a token that is first, or last, has no span: its first
// token, which belongs to no text, stands for that.
enum SpanClass : int32_t { kSpanFirst = 1, kSpanLast = 2 };
inline constexpr int32_t kSpanClasses = 4;

// Whether there is a class for each token.
inline bool HasTokenClasses(TargetKind kind) {
  return kind == TargetKind::kTokenClasses || kind == TargetKind::kHiddenTokens || kind == TargetKind::kSpan;
}

// Whether the loss is a sum over tokens, of which an example has any number; otherwise over the examples.
inline bool IsPerToken(TargetKind kind) {
  return kind == TargetKind::kNone || (HasTokenClasses(kind) && kind != TargetKind::kSpan);
}

}  // namespace shoal
