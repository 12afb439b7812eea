#include "model/heads.h"

#include "common/base/status.h"

namespace shoal::model {

absl::Span<const HeadInfo> Heads() {
  static constexpr HeadInfo kHeads[] = {
      {HEAD_TYPE_CLASS, "one label per text", "single_label_classification", LossKind::kCrossEntropy,
       TargetKind::kClass, "SEQ_CLS", LabelCount::kOneOrMore},
      {HEAD_TYPE_NUMBER, "a number per text", "regression", LossKind::kSquaredError, TargetKind::kNumbers,
       "SEQ_CLS", LabelCount::kOne},
      {HEAD_TYPE_LABELS, "any number of labels per text", "multi_label_classification",
       LossKind::kSigmoidCrossEntropy, TargetKind::kNumbers, "SEQ_CLS", LabelCount::kOneOrMore},
      {HEAD_TYPE_TOKEN_CLASSES, "one label per word", "", LossKind::kCrossEntropy, TargetKind::kTokenClasses,
       "TOKEN_CLS", LabelCount::kOneOrMore},
      {HEAD_TYPE_MASKED_TOKEN, "hidden tokens", "", LossKind::kCrossEntropy, TargetKind::kHiddenTokens, "",
       LabelCount::kNone},
      {HEAD_TYPE_SPAN, "a span of the text", "", LossKind::kCrossEntropy, TargetKind::kSpan, "QUESTION_ANS",
       LabelCount::kNone},
      {HEAD_TYPE_NEXT_TOKEN, "the next token", "", LossKind::kCrossEntropy, TargetKind::kNone, "CAUSAL_LM",
       LabelCount::kNone},
  };
  return kHeads;
}

const HeadInfo* FindHead(HeadType type) {
  for (const HeadInfo& head : Heads()) {
    if (head.type == type) return &head;
  }
  return nullptr;
}

const HeadInfo& HeadOf(HeadType type) {
  const HeadInfo* const head = FindHead(type);
  SHOAL_CHECK(head != nullptr);
  return *head;
}

}  // namespace shoal::model
