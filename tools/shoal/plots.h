// Charts of a training, beside its report.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "common/storage/file.h"
#include "proto/scheduler.pb.h"

namespace shoal::tools {

// Writes to `folder`: loss.svg (training and validation), one file for each metric that the job's task
// reports, confusion.svg where the task tells single labels apart. What a job has no values for is left out.
// `metrics`: the lines of its metrics.jsonl. Errors: those of the Env.
absl::Status WritePlots(Env* env, const std::string& folder, absl::string_view metrics, const Job& job);

}  // namespace shoal::tools
