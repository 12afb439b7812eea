// Counts a batch that a model has computed for a task's statistics.
#pragma once

#include <string>

#include "absl/types/span.h"
#include "kernels/loss.h"
#include "model/batch.h"
#include "proto/scheduler.pb.h"
#include "tasks/task.h"

namespace shoal::tasks {

// Adds the batch to `statistics`. `labels`: those of the model; `notes`: BatchBuffer::notes; `logits` and
// `loss`: what Model::Evaluate returned.
void CountBatch(const Task& task, absl::Span<const std::string> labels, const model::Batch& batch,
                absl::Span<const std::string> notes, absl::Span<const float> logits,
                const kernels::LossSum& loss, EvaluationStatistics* statistics);

}  // namespace shoal::tasks
