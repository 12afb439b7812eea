// The names of a plan's artifacts (Artifact.name), each the bytes of one file.
#pragma once

namespace shoal {

inline constexpr char kTokenizerArtifact[] = "tokenizer";  // the vocabulary (model/tokenizer)
inline constexpr char kDatasetArtifact[] = "dataset";      // the examples as numbers (tasks/dataset.h)
inline constexpr char kWeightsArtifact[] = "weights";      // of `model.from`: θ as float32

}  // namespace shoal
