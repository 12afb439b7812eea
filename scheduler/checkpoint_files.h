// Checkpoints on disk, as the scheduler commits and finds them (format: common/storage/checkpoint.h).
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

// Writes history.json beside the shard files, then the manifest. Returns the checkpoint's folder. Errors: as
// CommitCheckpoint; as CheckStorage, where it is not the folder's first.
absl::StatusOr<std::string> CommitWithHistory(Env* env, const CommitCheckpointFiles& commit);

// Reads the whole checkpoint (a directory), which was committed once, and compares all of its digests.
// Returns SHA-256 of θ. Errors: DATA_LOSS when it is damaged, and where it has been set aside; NOT_FOUND when
// it is gone; UNAVAILABLE when its storage is not there (CheckStorage); what the Env says.
absl::StatusOr<std::string> VerifyOrSetAside(Env* env, const std::string& checkpoint);

// What there is at `checkpoint` (".../version-120", or a folder of checkpoints: its newest) for a job to
// start from, as far as manifests, histories and headers tell; the rest is verified by the servers that load
// it. In the place of one that is damaged, or gives I/O errors again and again, comes the next older one
// beside it, at last none. Changes nothing. Errors: NOT_FOUND, UNIMPLEMENTED for a newer format; what the Env
// says.
absl::StatusOr<ResumePoint> FindResumePoint(Env* env, const std::string& checkpoint);

// A folder for a job that names none: `folder`, or the first of "<folder>-2", "<folder>-3", ... in which no
// checkpoint is, as those of another store's job of that number are, and which is not among `taken`. Errors:
// what the Env says.
absl::StatusOr<std::string> FreeCheckpointFolder(Env* env, const std::string& folder,
                                                 const std::set<std::string>& taken = {});

// Whether a new job may write its checkpoints into `folder`: what is there must be of the training that it
// goes on with, and not beyond the place where it starts; or damaged and known as such. Errors:
// FAILED_PRECONDITION that names the checkpoint in the way.
absl::Status CheckCheckpointFolder(Env* env, const std::string& folder,
                                   const std::optional<ResumePoint>& resume);

}  // namespace shoal::scheduler
