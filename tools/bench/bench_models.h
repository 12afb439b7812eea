// The models that benchmarks train.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "model/model_config.h"

namespace shoal::bench {

// With dropout 0.1; a classifier of two labels, or a language model:
//   minilm        6 layers of 384, the shape of MiniLM-L6-H384 (Wang et al., 2020), 23 million parameters
//   bert-l4-h256  4 layers of 256, "BERT mini" (Turc et al., 2019), 11 million parameters
//   gpt2          12 layers of 768, GPT-2 small (Radford et al., 2019), 124 million parameters
// Errors: INVALID_ARGUMENT that lists the names.
absl::StatusOr<model::ModelConfig> BenchModel(const std::string& name);

// Arithmetic of the matrix products and attention, forward and backward (twice the forward), for examples of
// these lengths (`offsets` as in Batch), a language model's head included. Causal attention counts the keys
// that a token sees. Embeddings, a classifier's head and element-wise operations are left out.
double TrainingFlops(const model::ModelConfig& config, absl::Span<const int32_t> offsets);

}  // namespace shoal::bench
