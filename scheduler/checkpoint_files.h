// How the scheduler commits and finds checkpoints on disk (format: common/storage/checkpoint.h).
#pragma once

#include <optional>
#include <set>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/storage/file.h"
#include "scheduler/actions.h"
#include "scheduler/options.h"

namespace shoal::scheduler {

// Writes history.json beside the shard files, then the manifest. Returns the checkpoint's folder. Errors:
// those of CommitCheckpoint; those of CheckStorage, unless it is the folder's first checkpoint.
absl::StatusOr<std::string> CommitWithHistory(Env* env, const CommitCheckpointFiles& commit);

// Reads the whole checkpoint (a directory that was once committed) and compares all of its digests. Returns
// the SHA-256 of θ. Errors: DATA_LOSS when it is damaged, saying where it was set aside; NOT_FOUND when it is
// gone; UNAVAILABLE when its storage is not there (CheckStorage); errors of the Env.
absl::StatusOr<std::string> VerifyOrSetAside(Env* env, const std::string& checkpoint);

// Finds the checkpoint that a job can start from at `checkpoint` (".../version-120", or a folder of
// checkpoints, meaning its newest), as far as manifests, histories and headers tell; the servers that load it
// verify the rest. Skips a checkpoint that is damaged, or repeatedly gives I/O errors, in favor of the next
// older one beside it; the result has no directory if none is left. Changes nothing. Errors: NOT_FOUND;
// UNIMPLEMENTED for a newer format; errors of the Env.
absl::StatusOr<ResumePoint> FindResumePoint(Env* env, const std::string& checkpoint);

// A folder for a job that names none: `folder`, or else the first of "<folder>-2", "<folder>-3", ..., that
// holds no checkpoint (for example of the job with that number in another store) and is not in `taken`.
// Errors: those of the Env.
absl::StatusOr<std::string> FreeCheckpointFolder(Env* env, const std::string& folder,
                                                 const std::set<std::string>& taken = {});

// Whether a new job may write its checkpoints into `folder`: every checkpoint there must either belong to the
// training that the job continues and not be later than the version it starts from, or be known to be
// damaged. Errors: FAILED_PRECONDITION, naming the checkpoint in the way.
absl::Status CheckCheckpointFolder(Env* env, const std::string& folder,
                                   const std::optional<ResumePoint>& resume);

}  // namespace shoal::scheduler
