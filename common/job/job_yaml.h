// Job files: YAML, read strictly, into a completed and valid JobSpec.
//
// A job file is a mapping with the fields of JobSpec (docs/job-file.md). It refuses unknown and repeated
// fields, values of the wrong type, missing values, unknown words and units, numbers out of range and
// combinations that are not allowed (common/job/job_spec.h), as well as YAML's tags, merge keys and further
// documents.
//
// Stateless functions; any thread. They throw nothing.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "proto/job.pb.h"

namespace shoal {

struct JobText {
  std::string yaml;
  std::string name;    // for messages: "job.yaml"
  std::string folder;  // paths in the text are relative to it; empty: they stay as they are
};

// Values that override those of the text, in order: "train.slots=4", "data.files=[a.tsv, b.tsv]",
// "evaluation.every=1 epoch".
struct JobOverrides {
  std::vector<std::string> assignments;
  std::string folder;  // paths in the assignments are relative to it; empty: they stay as they are
};

// The job, completed (CompleteJob) and valid.
// Errors: INVALID_ARGUMENT with up to ten problems, one per line, in the order of the file:
//   job.yaml:7: data.splt: unknown field; did you mean 'split'?
//   --set train.slots=x: train.slots: expected a whole number from 1 to 4096, got 'x'
absl::StatusOr<JobSpec> ParseJob(const JobText& text, const JobOverrides& overrides = {});

}  // namespace shoal
