// Checkpoints on disk, as the scheduler commits and finds them (format: common/checkpoint.h).
#pragma once

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/file.h"
#include "scheduler/actions.h"
#include "scheduler/options.h"

namespace shoal::scheduler {

// Writes history.json beside the shard files, then the manifest. Returns the checkpoint's folder. Errors: as
// CommitCheckpoint.
absl::StatusOr<std::string> CommitWithHistory(Env* env, const CommitCheckpointFiles& commit);

// What there is at `checkpoint` (".../version-120", or a folder of checkpoints: its newest) for a job to
// start from. Errors: NOT_FOUND, INVALID_ARGUMENT that say what is wrong with it.
absl::StatusOr<ResumePoint> FindResumePoint(Env* env, const std::string& checkpoint);

// Whether a new job may write its checkpoints into `folder`: what is there must be of the training that it
// goes on with, and not beyond the place where it starts. Errors: FAILED_PRECONDITION that names the
// checkpoint in the way.
absl::Status CheckCheckpointFolder(Env* env, const std::string& folder,
                                   const std::optional<ResumePoint>& resume);

}  // namespace shoal::scheduler
