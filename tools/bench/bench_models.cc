#include "tools/bench/bench_models.h"

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace shoal {
namespace {

struct Shape {
  int64_t layers, hidden, heads;
};

ModelConfig BertOf(const Shape& shape) {
  ModelConfig config;
  config.vocab_size = 30522;
  config.hidden_size = shape.hidden;
  config.num_hidden_layers = shape.layers;
  config.num_attention_heads = shape.heads;
  config.intermediate_size = 4 * shape.hidden;
  config.max_position_embeddings = 512;
  config.labels = {"negative", "positive"};
  return config;
}

}  // namespace

absl::StatusOr<ModelConfig> BenchModel(const std::string& name) {
  if (name == "minilm") return BertOf({6, 384, 12});  // MiniLM-L6-H384
  if (name == "bert-l4-h256") return BertOf({4, 256, 4});
  if (name == "gpt2") {
    return absl::InvalidArgumentError(
        "--model gpt2: Shoal trains encoders only so far; use minilm or bert-l4-h256");
  }
  return absl::InvalidArgumentError(absl::StrCat("--model ", name, ": expected minilm or bert-l4-h256"));
}

double TrainingFlops(const ModelConfig& config, int64_t examples, int64_t length) {
  const double hidden = config.hidden_size, inner = config.intermediate_size;
  const double of_token = 2 * (4 * hidden * hidden + 2 * hidden * inner) + 4 * hidden * length;
  return 3 * of_token * static_cast<double>(config.num_hidden_layers * examples * length);
}

}  // namespace shoal
