#include "common/job/data_files.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/job/job_rules.h"

namespace shoal {
namespace {

// The task's format with the longest extension that the path has; if there is none, likewise of all formats.
std::optional<DataFormat> FormatByExtension(const std::string& path, const TaskRule& task) {
  std::optional<DataFormat> format;
  std::pair<bool, size_t> best = {false, 0};  // it is one of the task's; the length of its extension
  const google::protobuf::EnumDescriptor& formats = *DataFormat_descriptor();
  for (int i = 0; i < formats.value_count(); ++i) {
    const auto candidate = static_cast<DataFormat>(formats.value(i)->number());
    const bool of_task = std::count(task.formats().begin(), task.formats().end(), candidate) > 0;
    for (const std::string& extension : RuleOf(candidate).extensions()) {
      const std::pair<bool, size_t> rank = {of_task, extension.size()};
      if (rank <= best || extension.empty() || !absl::EndsWithIgnoreCase(path, extension)) continue;
      best = rank;
      format = candidate;
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
  add(job.data().replay().files(), "data.replay.files");
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
