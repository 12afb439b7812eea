// The heads that a model can have, as data: everything that follows from a HeadType. heads.cc has one row for
// each; families say which of them they have (model/families/family.h).
#pragma once

#include "absl/types/span.h"
#include "common/base/target_kind.h"
#include "proto/job.pb.h"

namespace shoal::model {

// How logits are compared with their targets (kernels/loss.h).
enum class LossKind { kCrossEntropy, kSquaredError, kSigmoidCrossEntropy };

// How many labels, which are the columns of the logits, a model with this head has.
enum class LabelCount { kNone, kOne, kOneOrMore };

struct HeadInfo {
  HeadType type = {};
  const char* predicts = "";  // for messages
  // In config.json; tells the heads of one class of `transformers` apart. Empty: it has a class of its own.
  const char* problem_type = "";
  LossKind loss = LossKind::kCrossEntropy;
  TargetKind target = TargetKind::kClass;  // of its batches (model/batch.h)
  const char* peft_task = "";              // what PEFT calls it; empty: it has no name for it
  LabelCount labels = LabelCount::kOneOrMore;
};

// Every head once.
absl::Span<const HeadInfo> Heads();

// Null when there is none: the number may come from outside.
const HeadInfo* FindHead(HeadType type);

// The head of a model whose config is already checked.
const HeadInfo& HeadOf(HeadType type);

}  // namespace shoal::model
