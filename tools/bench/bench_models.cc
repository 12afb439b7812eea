#include "tools/bench/bench_models.h"

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace shoal::bench {
namespace {

struct Shape {
  int64_t layers, hidden, heads;
};

model::ModelConfig BertOf(const Shape& shape) {
  model::ModelConfig config;
  config.vocab_size = 30522;
  config.hidden_size = shape.hidden;
  config.num_hidden_layers = shape.layers;
  config.num_attention_heads = shape.heads;
  config.intermediate_size = 4 * shape.hidden;
  config.max_position_embeddings = 512;
  config.labels = {"negative", "positive"};
  return config;
}

model::ModelConfig Gpt2Of(const Shape& shape) {
  model::ModelConfig config;
  config.family = MODEL_FAMILY_GPT2;
  config.norm = NORM_PLACEMENT_PRE;
  config.head = HEAD_TYPE_NEXT_TOKEN;
  config.activation = ACTIVATION_TYPE_GELU_TANH;
  config.vocab_size = 50257;
  config.hidden_size = shape.hidden;
  config.num_hidden_layers = shape.layers;
  config.num_attention_heads = shape.heads;
  config.intermediate_size = 4 * shape.hidden;
  config.max_position_embeddings = 1024;
  config.type_vocab_size = 0;
  config.layer_norm_eps = 1e-5;
  return config;
}

}  // namespace

absl::StatusOr<model::ModelConfig> BenchModel(const std::string& name) {
  if (name == "minilm") return BertOf({6, 384, 12});  // MiniLM-L6-H384
  if (name == "bert-l4-h256") return BertOf({4, 256, 4});
  if (name == "gpt2") return Gpt2Of({12, 768, 12});
  return absl::InvalidArgumentError(
      absl::StrCat("--model ", name, ": expected minilm, bert-l4-h256 or gpt2"));
}

double TrainingFlops(const model::ModelConfig& config, absl::Span<const int32_t> offsets) {
  const double hidden = config.hidden_size, inner = config.intermediate_size;
  const double vocabulary = config.causal() ? config.vocab_size : 0;
  double forward = 0;
  for (size_t b = 0; b + 1 < offsets.size(); ++b) {
    const double length = offsets[b + 1] - offsets[b];
    const double keys = config.causal() ? (length + 1) / 2 : length;  // per token, on average
    const double of_layer = 2 * (4 * hidden * hidden + 2 * hidden * inner) + 4 * hidden * keys;
    forward += length * (of_layer * static_cast<double>(config.num_hidden_layers) + 2 * hidden * vocabulary);
  }
  return 3 * forward;
}

}  // namespace shoal::bench
