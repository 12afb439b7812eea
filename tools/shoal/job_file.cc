#include "tools/shoal/job_file.h"

#include "common/base/status.h"
#include "common/job/data_files.h"
#include "common/job/job_yaml.h"

namespace shoal::tools {

absl::StatusOr<JobSpec> ReadJobFile(Env* env, const std::string& path,
                                    const std::vector<std::string>& assignments) {
  JobText text;
  SHOAL_ASSIGN_OR_RETURN(text.yaml, env->ReadFile(path));
  text.name = path;
  SHOAL_ASSIGN_OR_RETURN(const std::string absolute, AbsolutePath(path));
  text.folder = DirName(absolute);
  JobOverrides overrides;
  overrides.assignments = assignments;
  SHOAL_ASSIGN_OR_RETURN(overrides.folder, AbsolutePath("."));
  return ParseJob(text, overrides);
}

absl::Status CheckDataFiles(Env* env, const JobSpec& job) {
  for (const DataFile& file : DataFilesOf(job))
    SHOAL_RETURN_IF_ERROR(Annotate(env->NewRandomAccessFile(file.path).status(), file.field));
  return absl::OkStatus();
}

}  // namespace shoal::tools
