// What a job's plan has that decides the bits of its parameters.
#pragma once

#include <string>

#include "proto/scheduler.pb.h"

namespace shoal {

// All of a plan as text, a line a field as in PrintJob, with digests for what is long: of each data file, of
// the artifacts (data set, vocabulary, weights), of the labels, the parameters and the model's config. Of
// paths just the last part counts. The same data and job give the same text on any machine. Its SHA-256 says
// what a checkpoint was trained on (CheckpointManifest.plan_sha256); JobDifferences (common/job/job_print.h)
// names what two of them differ in.
std::string PlanText(const JobPlan& plan);

}  // namespace shoal
