#include "common/job/data_files.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/job/job_rules.h"

namespace shoal {
namespace {

// Of these formats the one with the longest extension that the path has.
template <typename Formats>
std::optional<DataFormat> FormatAmong(const Formats& formats, const std::string& path) {
  std::optional<DataFormat> format;
  size_t longest = 0;
  for (const int candidate : formats) {
    for (const std::string& extension : RuleOf(static_cast<DataFormat>(candidate)).extensions()) {
      if (extension.size() <= longest || !absl::EndsWithIgnoreCase(path, extension)) continue;
      longest = extension.size();
      format = static_cast<DataFormat>(candidate);
    }
  }
  return format;
}

std::optional<DataFormat> FormatByExtension(const std::string& path, const TaskRule& task) {
  const auto of_task = FormatAmong(task.formats(), path);
  if (of_task) return of_task;
  std::vector<int> all;
  for (int i = 0; i < DataFormat_descriptor()->value_count(); ++i)
    all.push_back(DataFormat_descriptor()->value(i)->number());
  return FormatAmong(all, path);
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
  if (files.empty() || !files[0].format || FileOfOtherFormat(files) != nullptr) return std::nullopt;
  const auto& formats = RuleOf(job.task()).formats();
  const bool takes = std::find(formats.begin(), formats.end(), *files[0].format) != formats.end();
  return takes ? files[0].format : std::nullopt;
}

}  // namespace shoal
