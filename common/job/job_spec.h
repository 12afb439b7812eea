// A job as a whole: defaults filled in, impossible combinations refused.
//
// The command line checks a job when it reads the file (common/job/job_yaml.h), the scheduler again when it
// gets one: a JobSpec that came over the network may hold anything. Pure functions; any thread.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "common/job/job_rules.h"
#include "proto/job.pb.h"

namespace shoal {

// Fills in all defaults, also those that depend on other fields. What is set stays. Idempotent. Any message
// will do. With model.from the shape's fields stay unset: they are in that folder's config.json.
void CompleteJob(JobSpec* job);

// Everything wrong with a completed job; empty: it can run, as far as one can tell without its files.
std::vector<JobProblem> FindJobProblems(const JobSpec& job);

// The same as a status. Errors: INVALID_ARGUMENT with up to ten problems, a line each, "train.slots: expected
// ..., got ...".
absl::Status ValidateJob(const JobSpec& job);

// The validation examples are there, as far as the job file tells.
bool HasValidation(const JobSpec& job);
bool HasTest(const JobSpec& job);

// Whether a greater value of the metric is better.
bool HigherIsBetter(Metric metric);

// "accuracy" and so on, as in job files.
std::string MetricName(Metric metric);

}  // namespace shoal
