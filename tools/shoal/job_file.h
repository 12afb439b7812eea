// A job file with --set overrides, and the files that it names.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/storage/file.h"
#include "proto/job.pb.h"

namespace shoal::tools {

// Paths in the file are relative to it, those of `assignments` to the working directory; all are absolute in
// the result. Errors: NOT_FOUND; those of ParseJob.
absl::StatusOr<JobSpec> ReadJobFile(Env* env, const std::string& path,
                                    const std::vector<std::string>& assignments);

// Opens each of the job's data files. Errors: that of the first which can't be opened, with its field.
absl::Status CheckDataFiles(Env* env, const JobSpec& job);

}  // namespace shoal::tools
