// The names of a plan's artifacts (Artifact.name), each the bytes of one file.
#pragma once

#include "absl/strings/string_view.h"

namespace shoal {

inline constexpr char kTokenizerArtifact[] = "tokenizer";  // the vocabulary (model/tokenizer)
inline constexpr char kDatasetArtifact[] = "dataset";      // the examples as numbers (tasks/dataset.h)
inline constexpr char kWeightsArtifact[] = "weights";      // of `model.from`: θ as float32
inline constexpr char kFrozenArtifact[] = "frozen";        // likewise: what the job does not train

// Whether workers read the artifact: θ comes from servers.
inline bool IsForWorkers(absl::string_view name) { return name != kWeightsArtifact; }

// Whether the artifact is needed to export a job that has ended.
inline bool IsForExport(absl::string_view name) {
  return name == kTokenizerArtifact || name == kFrozenArtifact;
}

}  // namespace shoal
