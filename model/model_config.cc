#include "model/model_config.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status.h"
#include "nlohmann/json.hpp"

namespace shoal {
namespace {

using Json = nlohmann::ordered_json;

constexpr char kBert[] = "bert";
constexpr char kPreNorm[] = "roberta-prelayernorm";
constexpr int64_t kLargestSize = int64_t{1} << 31;

absl::Status Invalid(absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("model config: ", what));
}

absl::Status ReadInteger(const Json& json, const char* name, int64_t* out) {
  const auto found = json.find(name);
  if (found == json.end() || found->is_null()) return absl::OkStatus();
  if (!found->is_number_integer()) return Invalid(absl::StrCat("\"", name, "\" is no integer"));
  *out = found->get<int64_t>();
  return absl::OkStatus();
}

absl::Status ReadDouble(const Json& json, const char* name, double* out) {
  const auto found = json.find(name);
  if (found == json.end() || found->is_null()) return absl::OkStatus();
  if (!found->is_number()) return Invalid(absl::StrCat("\"", name, "\" is no number"));
  *out = found->get<double>();
  return absl::OkStatus();
}

absl::StatusOr<std::string> ReadString(const Json& json, const char* name, const char* fallback) {
  const auto found = json.find(name);
  if (found == json.end() || found->is_null()) return std::string(fallback);
  if (!found->is_string()) return Invalid(absl::StrCat("\"", name, "\" is no string"));
  return found->get<std::string>();
}

absl::Status ReadArchitecture(const Json& json, ModelConfig* config) {
  SHOAL_ASSIGN_OR_RETURN(const std::string type, ReadString(json, "model_type", ""));
  if (type == kBert) {
    config->norm = NORM_PLACEMENT_POST;
  } else if (type == kPreNorm) {
    config->norm = NORM_PLACEMENT_PRE;
    config->pad_token_id = 1;
  } else {
    return Invalid(
        absl::StrCat("model_type \"", type, "\" is not supported; ", kBert, " and ", kPreNorm, " are"));
  }
  if (json.value("is_decoder", false)) return Invalid("a decoder (is_decoder) is not supported");
  SHOAL_ASSIGN_OR_RETURN(const std::string positions,
                         ReadString(json, "position_embedding_type", "absolute"));
  if (positions != "absolute")
    return Invalid(absl::StrCat("position_embedding_type \"", positions, "\" is not supported"));
  SHOAL_ASSIGN_OR_RETURN(const std::string activation, ReadString(json, "hidden_act", "gelu"));
  if (activation == "gelu") {
    config->activation = ACTIVATION_TYPE_GELU;
  } else if (activation == "gelu_new" || activation == "gelu_pytorch_tanh") {
    config->activation = ACTIVATION_TYPE_GELU_TANH;
  } else {
    return Invalid(absl::StrCat("hidden_act \"", activation, "\" is not supported; gelu and gelu_new are"));
  }
  return absl::OkStatus();
}

absl::Status ReadSizes(const Json& json, ModelConfig* config) {
  config->vocab_size = 30522;
  config->hidden_size = 768;
  config->num_hidden_layers = 12;
  config->num_attention_heads = 12;
  config->intermediate_size = 3072;
  config->max_position_embeddings = 512;
  const std::pair<const char*, int64_t*> integers[] = {
      {"vocab_size", &config->vocab_size},
      {"hidden_size", &config->hidden_size},
      {"num_hidden_layers", &config->num_hidden_layers},
      {"num_attention_heads", &config->num_attention_heads},
      {"intermediate_size", &config->intermediate_size},
      {"max_position_embeddings", &config->max_position_embeddings},
      {"type_vocab_size", &config->type_vocab_size},
      {"pad_token_id", &config->pad_token_id},
  };
  for (const auto& [name, field] : integers) SHOAL_RETURN_IF_ERROR(ReadInteger(json, name, field));
  config->max_position_embeddings -= config->position_offset();
  const std::pair<const char*, double*> doubles[] = {
      {"layer_norm_eps", &config->layer_norm_eps},
      {"initializer_range", &config->initializer_range},
      {"hidden_dropout_prob", &config->hidden_dropout_prob},
      {"attention_probs_dropout_prob", &config->attention_probs_dropout_prob},
  };
  for (const auto& [name, field] : doubles) SHOAL_RETURN_IF_ERROR(ReadDouble(json, name, field));
  return absl::OkStatus();
}

absl::Status ReadHead(const Json& json, ModelConfig* config) {
  int64_t count = 2;
  SHOAL_RETURN_IF_ERROR(ReadInteger(json, "num_labels", &count));
  const auto names = json.find("id2label");
  if (names != json.end() && names->is_object()) {
    count = static_cast<int64_t>(names->size());
    for (int64_t i = 0; i < count; ++i) {
      const auto name = names->find(std::to_string(i));
      if (name == names->end() || !name->is_string())
        return Invalid(absl::StrCat("id2label has no name for ", i));
      config->labels.push_back(name->get<std::string>());
    }
  }
  for (int64_t i = static_cast<int64_t>(config->labels.size()); i < count && i < kLargestSize; ++i) {
    config->labels.push_back(absl::StrCat("LABEL_", i));
  }
  SHOAL_ASSIGN_OR_RETURN(const std::string problem, ReadString(json, "problem_type", ""));
  if (problem == "regression" || (problem.empty() && count == 1)) {
    config->task = TASK_TEXT_REGRESSION;
  } else if (problem == "multi_label_classification") {
    config->task = TASK_MULTILABEL_CLASSIFICATION;
  } else {
    config->task = TASK_TEXT_CLASSIFICATION;
  }
  return absl::OkStatus();
}

const char* ProblemType(Task task) {
  switch (task) {
    case TASK_TEXT_REGRESSION:
      return "regression";
    case TASK_MULTILABEL_CLASSIFICATION:
      return "multi_label_classification";
    default:
      return "single_label_classification";
  }
}

}  // namespace

ModelConfig ConfigFromSpec(const ModelSpec& spec, Task task, int64_t vocab_size,
                           std::vector<std::string> labels) {
  ModelConfig config;
  config.norm = spec.norm();
  config.activation = spec.activation();
  config.vocab_size = vocab_size;
  config.hidden_size = spec.hidden_size();
  config.num_hidden_layers = spec.layers();
  config.num_attention_heads = spec.heads();
  config.intermediate_size = spec.intermediate_size();
  config.max_position_embeddings = spec.max_length();
  config.type_vocab_size = 1;
  config.layer_norm_eps = spec.layer_norm_epsilon();
  ApplySpec(spec, task, std::move(labels), &config);
  return config;
}

void ApplySpec(const ModelSpec& spec, Task task, std::vector<std::string> labels, ModelConfig* config) {
  config->task = task;
  config->labels = std::move(labels);
  config->hidden_dropout_prob = spec.dropout();
  config->attention_probs_dropout_prob = spec.attention_dropout();
}

absl::StatusOr<ModelConfig> ParseModelConfig(absl::string_view text) {
  const Json json = Json::parse(text.begin(), text.end(), nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return Invalid("config.json is no JSON object");
  ModelConfig config;
  SHOAL_RETURN_IF_ERROR(ReadArchitecture(json, &config));
  SHOAL_RETURN_IF_ERROR(ReadSizes(json, &config));
  SHOAL_RETURN_IF_ERROR(ReadHead(json, &config));
  SHOAL_RETURN_IF_ERROR(CheckModelConfig(config));
  return config;
}

std::string PrintModelConfig(const ModelConfig& config) {
  const bool pre = config.norm == NORM_PLACEMENT_PRE;
  Json json;
  json["architectures"] = {pre ? "RobertaPreLayerNormForSequenceClassification"
                               : "BertForSequenceClassification"};
  json["model_type"] = pre ? kPreNorm : kBert;
  json["vocab_size"] = config.vocab_size;
  json["hidden_size"] = config.hidden_size;
  json["num_hidden_layers"] = config.num_hidden_layers;
  json["num_attention_heads"] = config.num_attention_heads;
  json["intermediate_size"] = config.intermediate_size;
  json["hidden_act"] = config.activation == ACTIVATION_TYPE_GELU ? "gelu" : "gelu_new";
  json["max_position_embeddings"] = config.max_position_embeddings + config.position_offset();
  json["type_vocab_size"] = config.type_vocab_size;
  json["pad_token_id"] = config.pad_token_id;
  json["layer_norm_eps"] = config.layer_norm_eps;
  json["initializer_range"] = config.initializer_range;
  json["hidden_dropout_prob"] = config.hidden_dropout_prob;
  json["attention_probs_dropout_prob"] = config.attention_probs_dropout_prob;
  json["problem_type"] = ProblemType(config.task);
  Json names = Json::object(), numbers = Json::object();
  for (size_t i = 0; i < config.labels.size(); ++i) {
    names[std::to_string(i)] = config.labels[i];
    numbers[config.labels[i]] = i;
  }
  json["id2label"] = names;
  json["label2id"] = numbers;
  json["torch_dtype"] = "float32";
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

absl::Status CheckModelConfig(const ModelConfig& config) {
  const std::pair<const char*, int64_t> sizes[] = {
      {"vocab_size", config.vocab_size},
      {"hidden_size", config.hidden_size},
      {"num_hidden_layers", config.num_hidden_layers},
      {"num_attention_heads", config.num_attention_heads},
      {"intermediate_size", config.intermediate_size},
      {"max_position_embeddings", config.max_position_embeddings},
      {"type_vocab_size", config.type_vocab_size},
      {"number of labels", static_cast<int64_t>(config.labels.size())},
  };
  for (const auto& [name, size] : sizes) {
    if (size < 1 || size > kLargestSize) return Invalid(absl::StrCat(name, " is ", size));
  }
  if (config.hidden_size % config.num_attention_heads != 0) {
    return Invalid(absl::StrCat("hidden_size ", config.hidden_size, " is no multiple of num_attention_heads ",
                                config.num_attention_heads));
  }
  if (config.pad_token_id < 0 || config.pad_token_id >= config.vocab_size)
    return Invalid("pad_token_id is no token");
  for (double rate : {config.hidden_dropout_prob, config.attention_probs_dropout_prob}) {
    if (!(rate >= 0 && rate < 1)) return Invalid("a dropout probability is not in [0,1)");
  }
  if (!(config.layer_norm_eps > 0 && config.layer_norm_eps < 1))
    return Invalid("layer_norm_eps is not in (0,1)");
  if (config.task == TASK_TEXT_REGRESSION && config.labels.size() != 1)
    return Invalid("regression has one label");
  return absl::OkStatus();
}

}  // namespace shoal
