// config.json as `transformers` writes it.
#include <algorithm>
#include <string>
#include <type_traits>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "common/base/status.h"
#include "model/model_config.h"
#include "nlohmann/json.hpp"

namespace shoal {
namespace {

using Json = nlohmann::ordered_json;

constexpr char kBert[] = "bert";
constexpr char kPreNorm[] = "roberta-prelayernorm";
constexpr char kGpt2[] = "gpt2";
constexpr size_t kMaxLabels = size_t{1} << 24;
// Beyond any size or token (CheckModelConfig has the exact limits), and small enough to calculate with.
constexpr int64_t kMaxNumber = int64_t{1} << 32;

// What a field is called in config.json, and what it is when it is left out.
template <typename T>
struct Field {
  const char* name;
  T ModelConfig::*member;
  T missing;
};

constexpr Field<int64_t> kBertIntegers[] = {
    {"vocab_size", &ModelConfig::vocab_size, 30522},
    {"hidden_size", &ModelConfig::hidden_size, 768},
    {"num_hidden_layers", &ModelConfig::num_hidden_layers, 12},
    {"num_attention_heads", &ModelConfig::num_attention_heads, 12},
    {"intermediate_size", &ModelConfig::intermediate_size, 3072},
    {"max_position_embeddings", &ModelConfig::max_position_embeddings, 512},
    {"type_vocab_size", &ModelConfig::type_vocab_size, 2},
    {"pad_token_id", &ModelConfig::pad_token_id, 0},
};
constexpr Field<double> kBertNumbers[] = {
    {"layer_norm_eps", &ModelConfig::layer_norm_eps, 1e-12},
    {"initializer_range", &ModelConfig::initializer_range, 0.02},
    {"hidden_dropout_prob", &ModelConfig::hidden_dropout_prob, 0.1},
    {"attention_probs_dropout_prob", &ModelConfig::attention_probs_dropout_prob, 0.1},
};
constexpr Field<int64_t> kGpt2Integers[] = {
    {"vocab_size", &ModelConfig::vocab_size, 50257},
    {"n_embd", &ModelConfig::hidden_size, 768},
    {"n_layer", &ModelConfig::num_hidden_layers, 12},
    {"n_head", &ModelConfig::num_attention_heads, 12},
    {"n_inner", &ModelConfig::intermediate_size, 0},  // 4 n_embd
    {"n_positions", &ModelConfig::max_position_embeddings, 1024},
    {"pad_token_id", &ModelConfig::pad_token_id, -1},
    {"bos_token_id", &ModelConfig::bos_token_id, -1},
    {"eos_token_id", &ModelConfig::eos_token_id, -1},
};
constexpr Field<double> kGpt2Numbers[] = {
    {"layer_norm_epsilon", &ModelConfig::layer_norm_eps, 1e-5},
    {"initializer_range", &ModelConfig::initializer_range, 0.02},
    {"embd_pdrop", &ModelConfig::embedding_dropout_prob, 0.1},
    {"resid_pdrop", &ModelConfig::hidden_dropout_prob, 0.1},
    {"attn_pdrop", &ModelConfig::attention_probs_dropout_prob, 0.1},
};

absl::Status Invalid(absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("model config: ", what));
}

// ---- reading ----

// Null when the field is left out.
const Json* Find(const Json& json, const char* name) {
  const auto found = json.find(name);
  return found == json.end() || found->is_null() ? nullptr : &*found;
}

absl::StatusOr<std::string> ReadString(const Json& json, const char* name, const char* missing) {
  const Json* const value = Find(json, name);
  if (value == nullptr) return std::string(missing);
  if (!value->is_string()) return Invalid(absl::StrCat("\"", name, "\" is no string"));
  return value->get<std::string>();
}

bool IsInRange(const Json& integer) {
  if (integer.is_number_unsigned()) return integer.get<uint64_t>() <= kMaxNumber;
  return integer.get<int64_t>() >= -kMaxNumber;
}

// Refuses a switch that stands otherwise than we compute.
absl::Status ExpectBool(const Json& json, const char* name, bool missing, bool wanted) {
  const Json* const value = Find(json, name);
  if (value != nullptr && !value->is_boolean()) return Invalid(absl::StrCat("\"", name, "\" is no boolean"));
  if ((value == nullptr ? missing : value->get<bool>()) == wanted) return absl::OkStatus();
  return Invalid(absl::StrCat("\"", name, "\": ", wanted ? "false" : "true", " is not supported"));
}

template <typename T>
absl::Status ReadFields(const Json& json, absl::Span<const Field<T>> fields, ModelConfig* config) {
  constexpr bool integer = std::is_same_v<T, int64_t>;
  for (const Field<T>& field : fields) {
    const Json* const value = Find(json, field.name);
    if (value != nullptr && !(integer ? value->is_number_integer() : value->is_number()))
      return Invalid(absl::StrCat("\"", field.name, "\" is no ", integer ? "integer" : "number"));
    if (integer && value != nullptr && !IsInRange(*value))
      return Invalid(absl::StrCat("\"", field.name, "\" is ", value->dump(), ": out of range"));
    config->*field.member = value == nullptr ? field.missing : value->get<T>();
  }
  return absl::OkStatus();
}

absl::Status ReadActivation(const Json& json, const char* name, const char* missing, ModelConfig* config) {
  SHOAL_ASSIGN_OR_RETURN(const std::string activation, ReadString(json, name, missing));
  if (activation == "gelu") {
    config->activation = ACTIVATION_TYPE_GELU;
  } else if (activation == "gelu_new" || activation == "gelu_pytorch_tanh") {
    config->activation = ACTIVATION_TYPE_GELU_TANH;
  } else {
    return Invalid(absl::StrCat(name, " \"", activation, "\" is not supported; gelu and gelu_new are"));
  }
  return absl::OkStatus();
}

absl::Status ReadHead(const Json& json, ModelConfig* config) {
  size_t count = 2;
  if (const Json* const number = Find(json, "num_labels")) {
    if (!number->is_number_unsigned()) return Invalid("\"num_labels\" is no number of labels");
    count = number->get<size_t>();
  }
  if (const Json* const names = Find(json, "id2label"); names != nullptr && names->is_object()) {
    count = names->size();
    for (size_t i = 0; i < count; ++i) {
      const auto name = names->find(std::to_string(i));
      if (name == names->end() || !name->is_string())
        return Invalid(absl::StrCat("id2label has no name for ", i));
      config->labels.push_back(name->get<std::string>());
    }
  }
  for (size_t i = config->labels.size(); i < std::min(count, kMaxLabels); ++i)
    config->labels.push_back(absl::StrCat("LABEL_", i));
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

absl::Status ReadBert(const Json& json, bool pre_norm, ModelConfig* config) {
  config->norm = pre_norm ? NORM_PLACEMENT_PRE : NORM_PLACEMENT_POST;
  SHOAL_RETURN_IF_ERROR(ExpectBool(json, "is_decoder", false, false));
  SHOAL_ASSIGN_OR_RETURN(const std::string positions,
                         ReadString(json, "position_embedding_type", "absolute"));
  if (positions != "absolute")
    return Invalid(absl::StrCat("position_embedding_type \"", positions, "\" is not supported"));
  SHOAL_RETURN_IF_ERROR(ReadActivation(json, "hidden_act", "gelu", config));
  SHOAL_RETURN_IF_ERROR(ReadFields<int64_t>(json, kBertIntegers, config));
  SHOAL_RETURN_IF_ERROR(ReadFields<double>(json, kBertNumbers, config));
  if (pre_norm && Find(json, "pad_token_id") == nullptr) config->pad_token_id = 1;
  config->max_position_embeddings -= config->position_offset();
  config->embedding_dropout_prob = config->hidden_dropout_prob;
  return ReadHead(json, config);
}

absl::Status ReadGpt2(const Json& json, ModelConfig* config) {
  config->family = MODEL_FAMILY_GPT2;
  config->norm = NORM_PLACEMENT_PRE;
  config->task = TASK_CAUSAL_LANGUAGE_MODELLING;
  config->type_vocab_size = 0;
  SHOAL_RETURN_IF_ERROR(ExpectBool(json, "tie_word_embeddings", true, true));
  SHOAL_RETURN_IF_ERROR(ExpectBool(json, "scale_attn_weights", true, true));
  SHOAL_RETURN_IF_ERROR(ExpectBool(json, "scale_attn_by_inverse_layer_idx", false, false));
  SHOAL_RETURN_IF_ERROR(ExpectBool(json, "add_cross_attention", false, false));
  SHOAL_RETURN_IF_ERROR(ReadActivation(json, "activation_function", "gelu_new", config));
  SHOAL_RETURN_IF_ERROR(ReadFields<int64_t>(json, kGpt2Integers, config));
  SHOAL_RETURN_IF_ERROR(ReadFields<double>(json, kGpt2Numbers, config));
  if (Find(json, "n_inner") == nullptr) config->intermediate_size = 4 * config->hidden_size;
  return absl::OkStatus();
}

// ---- writing ----

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

const char* ActivationName(const ModelConfig& config) {
  return config.activation == ACTIVATION_TYPE_GELU ? "gelu" : "gelu_new";
}

template <typename T>
void WriteFields(const ModelConfig& config, absl::Span<const Field<T>> fields, Json* json) {
  for (const Field<T>& field : fields) {
    const T value = config.*field.member;
    (*json)[field.name] = value < 0 ? Json(nullptr) : Json(value);
  }
}

void WriteBert(const ModelConfig& config, Json* json) {
  const bool pre = config.norm == NORM_PLACEMENT_PRE;
  (*json)["architectures"] = {pre ? "RobertaPreLayerNormForSequenceClassification"
                                  : "BertForSequenceClassification"};
  (*json)["model_type"] = pre ? kPreNorm : kBert;
  WriteFields<int64_t>(config, kBertIntegers, json);
  (*json)["max_position_embeddings"] = config.position_rows();
  WriteFields<double>(config, kBertNumbers, json);
  (*json)["hidden_act"] = ActivationName(config);
  (*json)["problem_type"] = ProblemType(config.task);
  Json names = Json::object(), numbers = Json::object();
  for (size_t i = 0; i < config.labels.size(); ++i) {
    names[std::to_string(i)] = config.labels[i];
    numbers[config.labels[i]] = i;
  }
  (*json)["id2label"] = names;
  (*json)["label2id"] = numbers;
}

void WriteGpt2(const ModelConfig& config, Json* json) {
  (*json)["architectures"] = {"GPT2LMHeadModel"};
  (*json)["model_type"] = kGpt2;
  WriteFields<int64_t>(config, kGpt2Integers, json);
  WriteFields<double>(config, kGpt2Numbers, json);
  (*json)["activation_function"] = ActivationName(config);
  (*json)["tie_word_embeddings"] = true;
}

}  // namespace

absl::StatusOr<ModelConfig> ParseModelConfig(absl::string_view text) {
  const Json json = Json::parse(text.begin(), text.end(), nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return Invalid("config.json is no JSON object");
  SHOAL_ASSIGN_OR_RETURN(const std::string type, ReadString(json, "model_type", ""));
  ModelConfig config;
  if (type == kGpt2) {
    SHOAL_RETURN_IF_ERROR(ReadGpt2(json, &config));
  } else if (type == kBert || type == kPreNorm) {
    SHOAL_RETURN_IF_ERROR(ReadBert(json, type == kPreNorm, &config));
  } else {
    return Invalid(absl::StrCat("model_type \"", type, "\" is not supported; ", kBert, ", ", kPreNorm,
                                " and ", kGpt2, " are"));
  }
  SHOAL_RETURN_IF_ERROR(CheckModelConfig(config));
  return config;
}

std::string PrintModelConfig(const ModelConfig& config) {
  Json json;
  if (config.causal()) {
    WriteGpt2(config, &json);
  } else {
    WriteBert(config, &json);
  }
  json["torch_dtype"] = "float32";
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace shoal
