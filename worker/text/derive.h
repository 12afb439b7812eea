// From a job's files to its plan: vocabulary, labels, encoded examples, parameter table.
#pragma once

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "common/base/thread_pool.h"
#include "common/storage/file.h"
#include "common/storage/progress.h"
#include "kernels/bf16_class.h"
#include "proto/job.pb.h"
#include "worker/program.h"

namespace shoal::worker {

// The class of bf16 products that the job asks for; none: each worker uses its fastest.
std::optional<kernels::Bf16Class> Bf16ClassOf(const JobSpec& spec);

// The class of arithmetic of `spec`: "f32", for bf16 the name of its class of products, or "any". Workers of
// the same class compute the same bits.
std::string NumericsOf(const JobSpec& spec);

// `progress` is called at least every few thousand examples and after each pass over the words of a
// vocabulary; progress while reading files is up to `env`.
//
// `pool`'s threads share the work of encoding; null: the caller's alone.
//
// Artifacts: those of common/job/artifact_names.h; "weights" with model.from alone, "frozen" if some of its
// parameters are. A pure function of spec and files.
//
// Errors: those of ReadParts; INVALID_ARGUMENT for a label that no training example has, too few labels
// (Task::LabelsOf), a spec that freezes a layer, adds to a linear map or weights a label that the model does
// not have, too little text for the vocabulary, a model folder that does not match the job, a warm-up longer
// than the training; NOT_FOUND, with the field that names it, for a missing file.
absl::StatusOr<DerivedJob> DeriveTextJob(Env* env, const JobSpec& spec, const Progress& progress = NoProgress,
                                         ThreadPool* pool = nullptr);

}  // namespace shoal::worker
