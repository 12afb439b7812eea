// A job as YAML.
#pragma once

#include <string>

#include "absl/strings/string_view.h"
#include "google/protobuf/message.h"
#include "proto/job.pb.h"

namespace shoal {

// The fields that are set in the job, in the order of job.proto; ParseJob (common/job/job_yaml.h) reads the
// same job back. The same job gives the same text on any machine. Strings must be UTF-8.
std::string PrintJob(const JobSpec& job);

// What determines the parameters at a given round, as text: all of a completed job but name, log_every,
// evaluation, checkpoint and cluster, and but fields that were added later and say what leaving them out
// says (FieldRule.added_later). Only the last part of a path counts: file contents are compared by hash. Its
// SHA-256 is the job's identity: a job is resumed only from checkpoints with the same one
// (CheckpointManifest.spec_sha256), also from those that earlier versions wrote.
std::string NumericsText(const JobSpec& job);

// How two such texts (or two of PlanText, common/job/plan_text.h) differ, for a message: "train.epochs: 8
// here, 4 there; data.group: not set here, source there". At most ten fields, then how many more; "" when
// they are equal.
std::string JobDifferences(absl::string_view here, absl::string_view there);

// Whether two such texts differ only in the length of the training, and in both the parameters at a round are
// the same: those of jobs whose schedule does not depend on the length (of PlanText any that differ only in
// the number of rounds). Then one job may go on from the other's checkpoints.
bool DifferOnlyInLength(absl::string_view here, absl::string_view there);

// The text as a YAML scalar that reads back as this string: plain where possible, else in double quotes.
std::string YamlString(absl::string_view text);

}  // namespace shoal
