// Job files: YAML, read strictly, into a completed and valid JobSpec.
//
// A job file is a mapping with the fields of JobSpec (docs/job-file.md). Refused are unknown and repeated
// fields, values of another type, missing ones, words and units that don't exist, numbers out of range and
// what can't go together (common/job/job_spec.h), besides YAML's tags, merge keys and further documents.
//
// Functions without state; any thread. No exception leaves them.
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

// Values that stand above those of the text, in order: "train.slots=4", "data.files=[a.tsv, b.tsv]",
// "evaluation.every=1 epoch".
struct JobOverrides {
  std::vector<std::string> assignments;
  std::string folder;  // paths in the assignments are relative to it; empty: they stay as they are
};

// The job, completed (CompleteJob) and valid.
// Errors: INVALID_ARGUMENT with up to ten problems, a line each, in the order of the file:
//   job.yaml:7: data.splt: unknown field; did you mean 'split'?
//   --set train.slots=x: train.slots: expected a whole number of at most 4294967295, got 'x'
absl::StatusOr<JobSpec> ParseJob(const JobText& text, const JobOverrides& overrides = {});

}  // namespace shoal
