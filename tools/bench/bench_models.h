// The models that benchmarks train.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "model/model_config.h"

namespace shoal {

// A classifier of two labels, dropout 0.1:
//   minilm        12 layers of 384, the shape of MiniLM-L12-H384 (Wang et al., 2020), 33 million parameters
//   bert-l4-h256  4 layers of 256, "BERT mini" (Turc et al., 2019), 11 million parameters
// Errors: INVALID_ARGUMENT that lists the names.
absl::StatusOr<ModelConfig> BenchModel(const std::string& name);

// Arithmetic of the encoder's matrix products and attention, forward and backward (twice the forward), for
// `examples` of `length` tokens. Embeddings, head and what is element by element are left out.
double TrainingFlops(const ModelConfig& config, int64_t examples, int64_t length);

}  // namespace shoal
