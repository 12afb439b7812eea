// A job as YAML.
#pragma once

#include <string>

#include "absl/strings/string_view.h"
#include "google/protobuf/message.h"
#include "proto/job.pb.h"

namespace shoal {

// What is set in the job, in the order of job.proto; ParseJob (common/job/job_yaml.h) reads the same job from
// it. The same job gives the same text on any machine. Strings must be UTF-8.
std::string PrintJob(const JobSpec& job);

// What decides the parameters at a given round, as text: all of a completed job but name, log_every,
// evaluation, checkpoint and cluster. Of paths just the last part counts: what the files hold is compared by
// hash. Its SHA-256 is the job's identity: a job is resumed only from checkpoints with the same one
// (CheckpointManifest.spec_sha256).
std::string NumericsText(const JobSpec& job);

// In what two such texts (or of PlanText, common/job/plan_text.h) differ, for a message: "train.epochs: 8
// here, 4 there; data.group: not set here, source there". At most ten fields, then how many more; "" when
// they say the same.
std::string JobDifferences(absl::string_view here, absl::string_view there);

// The text as a YAML scalar that reads back as this string: plain where it may be, else in double quotes.
std::string YamlString(absl::string_view text);

}  // namespace shoal
