// Divides examples into those for training, for validation and for the final test.
#pragma once

#include <cstdint>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/storage/file.h"
#include "proto/job.pb.h"
#include "tasks/data/example.h"
#include "tasks/data/label_reader.h"

namespace shoal::tasks {

enum class Part { kTrain = 0, kValidation = 1, kTest = 2, kUnused = 3 };
inline constexpr int kNumParts = 3;  // without kUnused

// "training", "validation", "test".
absl::string_view NameOf(Part part);

struct SplitExamples {
  ExampleSet part[kNumParts];
  uint64_t replayed_examples = 0, replayable_examples = 0;  // of data.replay: added, and in its files
  uint64_t rare_examples = 0;  // left out because their labels are rarer than data.min_class_count
  ExampleSet& operator[](Part p) { return part[static_cast<int>(p)]; }
  const ExampleSet& operator[](Part p) const { return part[static_cast<int>(p)]; }
};

// The part of all examples with this key: a pure function of seed, key and fractions (SHA-256), so it depends
// neither on the order of the lines nor on what else is in the files.
Part PartOf(absl::string_view key, uint64_t seed, const SplitSpec& split);

// Reads the job's data and divides it: by the files given for each part, or by PartOf of the group column or,
// without one, of the text or pair of texts itself, so that one that occurs twice is never in two parts. With
// format text each text is cut into consecutive pieces, one per part. Labels rarer than data.min_class_count
// in all parts together are dropped as `labels`, the job's task, says. Examples of data.replay are added to
// those for training, after them, unless their text is in another part.
//
// Errors: those of ReadExamples; INVALID_ARGUMENT when nothing is left for training, or for another part that
// the job asks for.
absl::StatusOr<SplitExamples> ReadParts(Env* env, const JobSpec& job, const LabelReader& labels);

}  // namespace shoal::tasks
