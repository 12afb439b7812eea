// The parts of a job's plan that determine the bits of its parameters.
#pragma once

#include <string>

#include "proto/scheduler.pb.h"

namespace shoal {

// What determines the bits of a plan's training as text, one line per field as in PrintJob, with digests of
// what is long: each data file, the artifacts (data set, vocabulary, weights), the labels, the parameters and
// the model's config. Only the last part of a path counts. The same data and job give the same text on any
// machine. Its SHA-256 says what a checkpoint was trained on (CheckpointManifest.plan_sha256); JobDifferences
// (common/job/job_print.h) says how two of them differ.
std::string PlanText(const JobPlan& plan);

}  // namespace shoal
