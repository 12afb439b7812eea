#include "model/model_config.h"

#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"

namespace shoal {
namespace {

constexpr int64_t kLargestSize = int64_t{1} << 31;

absl::Status Invalid(absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("model config: ", what));
}

absl::Status CheckSizes(const ModelConfig& config) {
  const int64_t least_of_bert = config.causal() ? 0 : 1;
  const std::tuple<const char*, int64_t, int64_t> sizes[] = {
      {"vocab_size", config.vocab_size, 1},
      {"hidden_size", config.hidden_size, 1},
      {"num_hidden_layers", config.num_hidden_layers, 1},
      {"num_attention_heads", config.num_attention_heads, 1},
      {"intermediate_size", config.intermediate_size, 1},
      {"max_position_embeddings", config.max_position_embeddings, 1},
      {"type_vocab_size", config.type_vocab_size, least_of_bert},
      {"number of labels", static_cast<int64_t>(config.labels.size()), least_of_bert},
  };
  for (const auto& [name, size, least] : sizes) {
    if (size < least || size > kLargestSize) return Invalid(absl::StrCat(name, " is ", size));
  }
  return absl::OkStatus();
}

absl::Status CheckFamily(const ModelConfig& config) {
  if (config.causal() != (config.task == TASK_CAUSAL_LANGUAGE_MODELLING)) {
    return Invalid(config.causal() ? "a gpt2 model is for the task causal-language-modelling"
                                   : "the task causal-language-modelling needs a gpt2 model");
  }
  if (config.causal() && config.norm != NORM_PLACEMENT_PRE) return Invalid("a gpt2 model is pre-norm");
  if (config.causal() && (config.type_vocab_size > 0 || !config.labels.empty()))
    return Invalid("a gpt2 model has neither token types nor labels");
  if (!config.causal() && config.pad_token_id < 0) return Invalid("pad_token_id is no token");
  for (int64_t id : {config.pad_token_id, config.bos_token_id, config.eos_token_id}) {
    if (id < -1 || id >= config.vocab_size)
      return Invalid(absl::StrCat("special token ", id, " is none of the vocabulary's ", config.vocab_size));
  }
  return absl::OkStatus();
}

}  // namespace

ModelConfig ConfigFromSpec(const ModelSpec& spec, Task task, int64_t vocab_size,
                           std::vector<std::string> labels) {
  ModelConfig config;
  config.family = spec.family();
  config.norm = spec.norm();
  config.activation = spec.activation();
  config.vocab_size = vocab_size;
  config.hidden_size = spec.hidden_size();
  config.num_hidden_layers = spec.layers();
  config.num_attention_heads = spec.heads();
  config.intermediate_size = spec.intermediate_size();
  config.max_position_embeddings = spec.max_length();
  config.type_vocab_size = config.family == MODEL_FAMILY_BERT ? 1 : 0;
  config.layer_norm_eps = spec.layer_norm_epsilon();
  ApplySpec(spec, task, std::move(labels), &config);
  return config;
}

void ApplySpec(const ModelSpec& spec, Task task, std::vector<std::string> labels, ModelConfig* config) {
  config->task = task;
  config->labels = std::move(labels);
  config->embedding_dropout_prob = spec.dropout();
  config->hidden_dropout_prob = spec.dropout();
  config->attention_probs_dropout_prob = spec.attention_dropout();
}

absl::Status CheckModelConfig(const ModelConfig& config) {
  SHOAL_RETURN_IF_ERROR(CheckSizes(config));
  SHOAL_RETURN_IF_ERROR(CheckFamily(config));
  if (config.hidden_size % config.num_attention_heads != 0) {
    return Invalid(absl::StrCat("hidden_size ", config.hidden_size, " is no multiple of num_attention_heads ",
                                config.num_attention_heads));
  }
  for (double rate :
       {config.embedding_dropout_prob, config.hidden_dropout_prob, config.attention_probs_dropout_prob}) {
    if (!(rate >= 0 && rate < 1)) return Invalid("a dropout probability is not in [0,1)");
  }
  if (!(config.layer_norm_eps > 0 && config.layer_norm_eps < 1))
    return Invalid("layer_norm_eps is not in (0,1)");
  if (config.task == TASK_TEXT_REGRESSION && config.labels.size() != 1)
    return Invalid("regression has one label");
  return absl::OkStatus();
}

}  // namespace shoal
