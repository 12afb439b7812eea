#include "model/model_config.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/status.h"
#include "model/families/family.h"
#include "model/heads.h"

namespace shoal::model {
namespace {

constexpr int64_t kMaxSize = int64_t{1} << 31;
constexpr int64_t kMaxRank = 4096;  // of low-rank additions

const Family* FamilyOf(const ModelConfig& config) { return FindFamily(config.family, config.norm); }

absl::Status CheckSizes(const Family& family, const ModelConfig& config) {
  const auto least = [](bool has) { return has ? 1 : 0; };
  const std::tuple<const char*, int64_t, int64_t> sizes[] = {
      {"vocab_size", config.vocab_size, 1},
      {"hidden_size", config.hidden_size, 1},
      {"num_hidden_layers", config.num_hidden_layers, 1},
      {"num_attention_heads", config.num_attention_heads, 1},
      {"intermediate_size", config.intermediate_size, 1},
      {"max_position_embeddings", config.max_position_embeddings, 1},
      {"type_vocab_size", config.type_vocab_size, least(family.token_types > 0)},
      {"ngram_buckets", config.ngram_buckets, least(family.has_ngrams)},
      {"ngram_length", config.ngram_length, least(family.has_ngrams)},
      {"number of labels", static_cast<int64_t>(config.labels.size()),
       least(HeadOf(config.head).labels != LabelCount::kNone)},
  };
  for (const auto& [name, size, smallest] : sizes) {
    if (size < smallest || size > kMaxSize) return InvalidConfig(absl::StrCat(name, " is ", size));
  }
  return absl::OkStatus();
}

absl::Status CheckTokens(const Family& family, const ModelConfig& config) {
  if (!family.causal && config.pad_token_id < 0) return InvalidConfig("pad_token_id is not a token");
  for (int64_t id : {config.pad_token_id, config.bos_token_id, config.eos_token_id}) {
    if (id >= -1 && id < config.vocab_size) continue;
    return InvalidConfig(
        absl::StrCat("special token ", id, " is not in the vocabulary of size ", config.vocab_size));
  }
  return absl::OkStatus();
}

// What the family's heads predict.
std::string Predictions(const Family& family) {
  std::vector<std::string> predictions;
  for (const HeadInfo& head : Heads()) {
    if (FindArchitecture(family, head.type) != nullptr) predictions.push_back(head.predicts);
  }
  return absl::StrJoin(predictions, ", ");
}

absl::Status CheckHead(const Family& family, const ModelConfig& config) {
  const HeadInfo* const head = FindHead(config.head);
  if (head == nullptr) return InvalidConfig(absl::StrCat("there is no head of the type ", config.head));
  if (FindArchitecture(family, config.head) != nullptr) return absl::OkStatus();
  return InvalidConfig(absl::StrCat("a ", family.model_type, " model can't predict ", head->predicts,
                                    "; expected one of: ", Predictions(family)));
}

// Refuses what the family does not support.
absl::Status CheckFamily(const Family& family, const ModelConfig& config) {
  const auto refuse = [&](absl::string_view what) {
    return InvalidConfig(absl::StrCat("a ", family.model_type, " model ", what));
  };
  if (family.token_types == 0 && config.type_vocab_size > 0) return refuse("has no token types");
  if (!family.has_ngrams && config.ngram_buckets > 0) return refuse("has no n-grams");
  if (config.ngram_length > kMaxNgram)
    return refuse(absl::StrCat("has n-grams of at most ", kMaxNgram, " tokens, got ", config.ngram_length));
  if (family.fixed_epsilon && config.layer_norm_eps != ModelConfig().layer_norm_eps)
    return refuse(absl::StrCat("has a layer_norm_eps of ", ModelConfig().layer_norm_eps));
  return absl::OkStatus();
}

// The lower limit of their number is in CheckSizes.
absl::Status CheckLabels(const ModelConfig& config) {
  const HeadInfo& head = HeadOf(config.head);
  if (head.labels == LabelCount::kNone && !config.labels.empty())
    return InvalidConfig(absl::StrCat("a model that predicts ", head.predicts, " has no labels"));
  if (head.labels == LabelCount::kOne && config.labels.size() != 1)
    return InvalidConfig(absl::StrCat("a model that predicts ", head.predicts, " has one label"));
  return absl::OkStatus();
}

absl::Status CheckNumbers(const ModelConfig& config) {
  if (config.hidden_size % config.num_attention_heads != 0) {
    return InvalidConfig(absl::StrCat("hidden_size ", config.hidden_size,
                                      " is not a multiple of num_attention_heads ",
                                      config.num_attention_heads));
  }
  for (double rate :
       {config.embedding_dropout_prob, config.hidden_dropout_prob, config.attention_probs_dropout_prob}) {
    if (!(rate >= 0 && rate < 1)) return InvalidConfig("a dropout probability is not in [0,1)");
  }
  for (double scale : {config.ngram_scale, config.embedding_scale}) {
    if (!(scale > 0 && scale < 1e6)) return InvalidConfig("ngram_scale or embedding_scale is not in (0,1e6)");
  }
  if (!(config.layer_norm_eps > 0 && config.layer_norm_eps < 1))
    return InvalidConfig("layer_norm_eps is not in (0,1)");
  return absl::OkStatus();
}

absl::Status ReadFamily(const Family& family, const ParsedJson& json, HeadUse use, ModelConfig* config) {
  config->family = family.family;
  config->norm = family.norm;
  SHOAL_RETURN_IF_ERROR(ReadFields(json, family.fields, config));
  if (family.read_rest != nullptr) SHOAL_RETURN_IF_ERROR(family.read_rest(json, config));
  config->max_position_embeddings -= FirstPosition(family, *config);
  SHOAL_RETURN_IF_ERROR(ReadHead(family, json, use, config));
  // Its output is tied to the embedding, as it is by default; elsewhere the field has no effect.
  if (config->head == HEAD_TYPE_MASKED_TOKEN) return ExpectBool(json, "tie_word_embeddings", true, true);
  return absl::OkStatus();
}

// Fields that `transformers` does not know but keeps.
constexpr char kTaskField[] = "shoal_task";
constexpr char kLoraField[] = "shoal_lora";
constexpr char kThresholdField[] = "shoal_threshold";
constexpr char kAdaptersField[] = "shoal_adapters";
// Behind the model type, so that `transformers` does not load the model without them.
constexpr char kAdaptersSuffix[] = "-with-adapters";

// As PEFT names them.
Json LoraJson(const LoraConfig& lora) {
  return {{"r", lora.rank},
          {"lora_alpha", lora.alpha},
          {"lora_dropout", lora.dropout},
          {"target_modules", lora.targets}};
}

absl::StatusOr<LoraConfig> ReadLora(const ParsedJson& json) {
  const ParsedJson* const field = FindField(json, kLoraField);
  if (field == nullptr) return LoraConfig();
  LoraConfig lora;
  const auto invalid = [](const char* what) {
    return InvalidConfig(absl::StrCat("\"", kLoraField, "\": expected ", what));
  };
  if (!field->is_object()) return invalid("an object");
  const auto number = [&](const char* name) {
    const ParsedJson* const value = FindField(*field, name);
    return value != nullptr && value->is_number() ? value->get<double>() : -1;
  };
  const double rank = number("r");
  if (!(rank >= 1 && rank <= kMaxRank)) return invalid("a rank \"r\" of at least 1");
  lora.rank = static_cast<int64_t>(rank);
  lora.alpha = number("lora_alpha");
  lora.dropout = number("lora_dropout");
  const ParsedJson* const targets = FindField(*field, "target_modules");
  if (targets == nullptr || !targets->is_array()) return invalid("a list \"target_modules\"");
  for (const ParsedJson& target : *targets) {
    if (!target.is_string()) return invalid("names in \"target_modules\"");
    lora.targets.push_back(target.get<std::string>());
  }
  return lora;
}

absl::StatusOr<BottleneckConfig> ReadAdapters(const ParsedJson& json) {
  const ParsedJson* const field = FindField(json, kAdaptersField);
  const auto invalid = [](const char* what) {
    return InvalidConfig(absl::StrCat("\"", kAdaptersField, "\": expected ", what));
  };
  if (field == nullptr || !field->is_object()) return invalid("an object");
  BottleneckConfig adapters;
  const ParsedJson* const size = FindField(*field, "size");
  if (size == nullptr || !size->is_number_integer() || size->get<int64_t>() < 1 ||
      size->get<int64_t>() > kMaxSize)
    return invalid("a \"size\" of at least 1");
  adapters.size = size->get<int64_t>();
  const ParsedJson* const placement = FindField(*field, "placement");
  if (placement == nullptr || !placement->is_string()) return invalid("a \"placement\"");
  if (!AdapterPlacement_Parse(placement->get<std::string>(), &adapters.placement))
    return invalid("a known \"placement\"");
  return adapters;
}

absl::StatusOr<double> ReadThreshold(const ParsedJson& json) {
  const ParsedJson* const field = FindField(json, kThresholdField);
  if (field == nullptr) return 0.0;
  const double threshold = field->is_number() ? field->get<double>() : -1;
  if (threshold >= 0 && threshold <= 1) return threshold;
  return InvalidConfig(absl::StrCat("\"", kThresholdField, "\": expected a number from 0 to 1"));
}

absl::Status CheckLora(const LoraConfig& lora) {
  if (lora.rank == 0) return absl::OkStatus();
  const std::tuple<bool, const char*, double> limits[] = {
      {lora.rank > 0 && lora.rank <= kMaxRank, "rank", static_cast<double>(lora.rank)},
      {lora.alpha > 0 && lora.alpha < 1e6, "alpha", lora.alpha},
      {lora.dropout >= 0 && lora.dropout < 1, "dropout", lora.dropout},
      {!lora.targets.empty(), "number of targets", 0},
  };
  for (const auto& [fits, name, value] : limits) {
    if (!fits) return InvalidConfig(absl::StrCat("the ", name, " of the low-rank additions is ", value));
  }
  return absl::OkStatus();
}

}  // namespace

bool ModelConfig::causal() const {
  const Family* const of_this = FamilyOf(*this);
  return of_this != nullptr && of_this->causal;
}

ModelConfig ConfigFromSpec(const ModelSpec& spec, HeadType head, const VocabularyInfo& vocabulary,
                           std::vector<std::string> labels) {
  ModelConfig config;
  config.family = spec.family();
  config.norm = spec.norm();
  config.activation = spec.activation();
  config.vocab_size = vocabulary.size;
  config.hidden_size = spec.hidden_size();
  config.num_hidden_layers = spec.layers();
  config.num_attention_heads = spec.heads();
  config.intermediate_size = spec.intermediate_size();
  config.max_position_embeddings = spec.max_length();
  if (const Family* const family = FamilyOf(config)) {
    const bool has_types = family->token_types > 0;
    config.type_vocab_size = has_types ? std::max(family->token_types, vocabulary.token_types) : 0;
    if (family->set_defaults != nullptr) family->set_defaults(&config);
  }
  config.layer_norm_eps = spec.layer_norm_epsilon();
  config.pad_token_id = config.causal() ? -1 : vocabulary.pad;
  if (config.causal()) config.bos_token_id = config.eos_token_id = vocabulary.end;
  ApplySpec(spec, head, std::move(labels), &config);
  return config;
}

void ApplySpec(const ModelSpec& spec, HeadType head, std::vector<std::string> labels, ModelConfig* config) {
  config->head = head;
  config->labels = std::move(labels);
  config->embedding_dropout_prob = spec.dropout();
  config->hidden_dropout_prob = spec.dropout();
  config->attention_probs_dropout_prob = spec.attention_dropout();
  config->threshold = 0;
  config->lora = LoraConfig();
}

absl::StatusOr<ModelConfig> ParseModelConfig(absl::string_view text, HeadUse use) {
  const ParsedJson json = ParsedJson::parse(text.begin(), text.end(), nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return InvalidConfig("config.json is not a JSON object");
  SHOAL_ASSIGN_OR_RETURN(std::string type, ReadString(json, "model_type", ""));
  const bool has_adapters = absl::EndsWith(type, kAdaptersSuffix);
  if (has_adapters) type.resize(type.size() - (sizeof(kAdaptersSuffix) - 1));
  const Family* const family = FindFamily(type);
  if (family == nullptr) {
    const auto append = [](std::string* out, const Family* known) { out->append(known->model_type); };
    return InvalidConfig(absl::StrCat("model_type \"", type, "\" is not supported; expected one of ",
                                      absl::StrJoin(Families(), ", ", append)));
  }
  ModelConfig config;
  SHOAL_RETURN_IF_ERROR(ReadFamily(*family, json, use, &config));
  SHOAL_ASSIGN_OR_RETURN(config.task, ReadString(json, kTaskField, ""));
  SHOAL_ASSIGN_OR_RETURN(config.lora, ReadLora(json));
  if (has_adapters) {
    SHOAL_ASSIGN_OR_RETURN(config.adapters, ReadAdapters(json));
  }
  SHOAL_ASSIGN_OR_RETURN(config.threshold, ReadThreshold(json));
  SHOAL_RETURN_IF_ERROR(CheckModelConfig(config));
  return config;
}

std::vector<std::string> SupportedClasses() {
  std::vector<std::string> classes;
  for (const Family* family : Families()) {
    for (const Architecture& architecture : family->architectures) classes.push_back(architecture.name);
  }
  return classes;
}

std::string PrintModelConfig(const ModelConfig& config) {
  const Family* const family = FamilyOf(config);
  SHOAL_CHECK(family != nullptr);
  Json json;
  WriteArchitecture(*family, config, &json);
  json["model_type"] = absl::StrCat(family->model_type, config.adapters.size > 0 ? kAdaptersSuffix : "");
  ModelConfig file = config;
  file.max_position_embeddings += FirstPosition(*family, config);
  WriteFields(file, family->fields, &json);
  WriteLabels(config, &json);
  if (family->write_rest != nullptr) family->write_rest(config, &json);
  if (!config.task.empty()) json[kTaskField] = config.task;
  if (config.threshold > 0) json[kThresholdField] = config.threshold;
  if (config.lora.rank > 0) json[kLoraField] = LoraJson(config.lora);
  if (config.adapters.size > 0) {
    json[kAdaptersField] = {{"size", config.adapters.size},
                            {"placement", AdapterPlacement_Name(config.adapters.placement)}};
  }
  json["torch_dtype"] = "float32";
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

int64_t LogitColumns(const ModelConfig& config) {
  const HeadInfo& head = HeadOf(config.head);
  if (head.target == TargetKind::kSpan) return 2;
  return head.labels == LabelCount::kNone ? config.vocab_size : static_cast<int64_t>(config.labels.size());
}

absl::Status CheckModelConfig(const ModelConfig& config) {
  const Family* const family = FamilyOf(config);
  if (family == nullptr) {
    return InvalidConfig(absl::StrCat("there is no ", ModelFamily_Name(config.family), " with ",
                                      NormPlacement_Name(config.norm)));
  }
  SHOAL_RETURN_IF_ERROR(CheckHead(*family, config));
  SHOAL_RETURN_IF_ERROR(CheckSizes(*family, config));
  SHOAL_RETURN_IF_ERROR(CheckFamily(*family, config));
  SHOAL_RETURN_IF_ERROR(CheckTokens(*family, config));
  SHOAL_RETURN_IF_ERROR(CheckLabels(config));
  SHOAL_RETURN_IF_ERROR(CheckLora(config.lora));
  return CheckNumbers(config);
}

}  // namespace shoal::model
