#include "common/job/data_files.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/job/job_rules.h"

namespace shoal {
namespace {

std::optional<DataFormat> FormatByExtension(const std::string& path, const TaskRule& task) {
  std::optional<DataFormat> format;
  size_t longest = 0;
  for (const int candidate : task.formats()) {
    for (const std::string& extension : RuleOf(static_cast<DataFormat>(candidate)).extensions()) {
      if (extension.size() <= longest || !absl::EndsWithIgnoreCase(path, extension)) continue;
      longest = extension.size();
      format = static_cast<DataFormat>(candidate);
    }
  }
  return format;
}

}  // namespace

std::vector<DataFile> DataFilesOf(const JobSpec& job) {
  std::vector<DataFile> files;
  const auto add = [&](const auto& paths, const std::string& field) {
    for (int i = 0; i < paths.size(); ++i) {
      files.push_back(
          {absl::StrCat(field, "[", i, "]"), paths[i], FormatByExtension(paths[i], RuleOf(job.task()))});
    }
  };
  add(job.data().files(), "data.files");
  add(job.data().train_files(), "data.train_files");
  add(job.data().validation_files(), "data.validation_files");
  add(job.data().test_files(), "data.test_files");
  return files;
}

const DataFile* FileOfOtherFormat(const std::vector<DataFile>& files) {
  if (files.empty() || !files[0].format) return nullptr;
  const auto other = std::find_if(files.begin(), files.end(), [&](const DataFile& file) {
    return file.format && file.format != files[0].format;
  });
  return other == files.end() ? nullptr : &*other;
}

std::optional<DataFormat> InferFormat(const JobSpec& job) {
  const std::vector<DataFile> files = DataFilesOf(job);
  if (files.empty() || FileOfOtherFormat(files) != nullptr) return std::nullopt;
  return files[0].format;
}

}  // namespace shoal
