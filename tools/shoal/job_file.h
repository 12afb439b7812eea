// A job file with --set overrides.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/storage/file.h"
#include "proto/job.pb.h"

namespace shoal::tools {

// Paths in the file are relative to it, those of `assignments` to the working directory; all are absolute in
// the result. Errors: NOT_FOUND; those of ParseJob.
absl::StatusOr<JobSpec> ReadJobFile(Env* env, const std::string& path,
                                    const std::vector<std::string>& assignments);

}  // namespace shoal::tools
