// The data files of a job, and the format that their extensions say (FormatRule.extensions).
//
// Pure functions; any thread.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "proto/job.pb.h"

namespace shoal {

struct DataFile {
  std::string field;  // where the job lists it: "data.files[1]"
  std::string path;
  // Of the formats of the job's task the one with the longest extension that the path has, in upper or lower
  // case; if it has none of them, of all formats; nullopt when it has none of these either.
  std::optional<DataFormat> format;
};

// All of them, those for training first.
std::vector<DataFile> DataFilesOf(const JobSpec& job);

// The first file with another format than that of the first file; null when there is none, and when the
// first file has no format.
const DataFile* FileOfOtherFormat(const std::vector<DataFile>& files);

// The format of the first file; nullopt when it has none of the task's, or another file has another.
std::optional<DataFormat> InferFormat(const JobSpec& job);

}  // namespace shoal
