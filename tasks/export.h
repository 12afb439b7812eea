// Writes what a job has trained as folders for other programs.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "common/storage/file.h"
#include "proto/scheduler.pb.h"

namespace shoal::tasks {

// A job's model. `tokenizer`, `frozen`: the plan's artifacts, empty if it has none, and for an adapter, which
// needs neither. `theta`: of a checkpoint.
struct TrainedModel {
  const JobPlan& plan;
  absl::string_view tokenizer;
  absl::string_view frozen;
  absl::Span<const float> theta;
  double threshold = 0;  // Task::ThresholdOf its validation; 0: none
};

// Writes a folder that `transformers` and Predictor (tasks/predictor.h) can load; low-rank additions become
// part of the maps that they are for. Errors: INVALID_ARGUMENT when there are more or fewer parameters than
// the plan's model has; those of the Env.
absl::Status ExportModel(Env* env, const std::string& folder, const TrainedModel& trained);

// Writes the low-rank additions and the head alone, in PEFT's layout. `base`: what the model that they were
// made for is called. Errors: as above; INVALID_ARGUMENT when the model has none.
absl::Status ExportAdapter(Env* env, const std::string& folder, const TrainedModel& trained,
                           const std::string& base);

}  // namespace shoal::tasks
