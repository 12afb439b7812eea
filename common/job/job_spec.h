// A job as a whole: defaults filled in, impossible combinations refused.
//
// The command line checks a job when it reads the file (common/job/job_yaml.h); the scheduler checks it
// again, because a JobSpec that came over the network may hold anything. Pure functions; any thread.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "common/job/job_rules.h"
#include "proto/job.pb.h"

namespace shoal {

// Fills in all defaults, including those that depend on other fields. What is set stays, except where a field
// that was added later says the same as without it (FieldRule.added_later). Idempotent. `job` may hold
// anything. With model.from the shape's fields stay unset: they are in that folder's config.json.
void CompleteJob(JobSpec* job);

// All problems of a completed job. When there are none it can run, as far as one can tell without its files.
std::vector<JobProblem> FindJobProblems(const JobSpec& job);

// The same as a status. Errors: INVALID_ARGUMENT with up to ten problems, one per line: "train.slots:
// expected ..., got ...".
absl::Status ValidateJob(const JobSpec& job);

// Whether the job has validation or test examples, as far as the job file tells.
bool HasValidation(const JobSpec& job);
// Whether a greater value of the metric is better.
bool HigherIsBetter(Metric metric);

// "accuracy" and so on, as in job files.
std::string MetricName(Metric metric);

}  // namespace shoal
