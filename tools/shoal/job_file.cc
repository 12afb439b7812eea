#include "tools/shoal/job_file.h"

#include "common/base/status.h"
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
  const DataSpec& data = job.data();
  const auto check = [env](const char* field, const auto& files) -> absl::Status {
    for (const std::string& file : files)
      SHOAL_RETURN_IF_ERROR(Annotate(env->NewRandomAccessFile(file).status(), field));
    return absl::OkStatus();
  };
  SHOAL_RETURN_IF_ERROR(check("data.files", data.files()));
  SHOAL_RETURN_IF_ERROR(check("data.train_files", data.train_files()));
  SHOAL_RETURN_IF_ERROR(check("data.validation_files", data.validation_files()));
  return check("data.test_files", data.test_files());
}

}  // namespace shoal::tools
