// From a job's files to its plan: vocabulary, labels, encoded examples, parameter table.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "common/storage/file.h"
#include "common/storage/progress.h"
#include "proto/job.pb.h"
#include "worker/program.h"

namespace shoal::worker {

// The class of arithmetic of `spec`: "f32", or kernels/gemm.h's for bf16. Workers of one class give the same
// bits.
std::string NumericsOf(const JobSpec& spec);

// `progress` is called at least after each few thousand examples and each pass over the words of a
// vocabulary; reading is `env`'s matter.
//
// Artifacts: "tokenizer", "dataset", and with model.from "weights" (θ as float32). A pure function of spec
// and files.
//
// Errors: those of ReadParts; INVALID_ARGUMENT for a label that no training example has, fewer than two
// labels, a text that is too small for the vocabulary, a model folder that does not fit, a warm-up longer
// than the training; NOT_FOUND for a missing file.
absl::StatusOr<DerivedJob> DeriveTextJob(Env* env, const JobSpec& spec,
                                         const Progress& progress = NoProgress);

}  // namespace shoal::worker
