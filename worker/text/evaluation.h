// What a batch's logits say about a model.
#pragma once

#include "absl/types/span.h"
#include "kernels/loss.h"
#include "model/batch.h"
#include "proto/scheduler.pb.h"

namespace shoal::worker {

// The label of the largest logit, the first of equal ones.
int LargestLogit(absl::Span<const float> logits);

// Adds the batch to `statistics`: `logits` [B, labels] (empty with causal-language-modelling) and the loss
// that the model gave.
void AddBatch(TaskType task, const Batch& batch, absl::Span<const float> logits, const LossSum& loss,
              EvaluationStatistics* statistics);

}  // namespace shoal::worker
