// A job's result as a Hugging Face folder.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "common/storage/file.h"
#include "proto/scheduler.pb.h"
#include "tools/shoal/scheduler_client.h"

namespace shoal::tools {

enum class ExportLayout {
  kModel,    // for `transformers`
  kAdapter,  // low-rank additions alone, for PEFT
};

// Reads the checkpoint (it must be visible here), fetches the vocabulary and the frozen parameters from the
// scheduler, writes `folder` as a whole (common/storage/whole_folder.h). `job` must have its plan. Errors
// name what is missing.
absl::Status ExportJob(Env* env, SchedulerClient* client, const Job& job, const std::string& checkpoint,
                       const std::string& folder, ExportLayout layout = ExportLayout::kModel);

// Whether an export into `folder` was cut off and can be repeated.
bool IsHalfExported(Env* env, const std::string& folder);

}  // namespace shoal::tools
