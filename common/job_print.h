// A job as YAML.
#pragma once

#include <string>

#include "absl/strings/string_view.h"
#include "google/protobuf/message.h"
#include "proto/job.pb.h"

namespace shoal {

// What is set in the job, in the order of job.proto; ParseJob (common/job_yaml.h) reads the same job from it.
// The same job gives the same text on any machine. Strings must be UTF-8.
std::string PrintJob(const JobSpec& job);

// The text as a YAML scalar that reads back as this string: plain where it may be, else in double quotes.
std::string YamlString(absl::string_view text);

}  // namespace shoal
