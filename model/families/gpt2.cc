// GPT-2 (Radford et al., 2019): a pre-norm decoder that predicts the next token with the word embeddings
// themselves.
#include <cmath>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "model/families/family.h"

namespace shoal::model {
namespace {

constexpr ConfigField<int64_t> kIntegers[] = {
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
constexpr ConfigField<double> kNumbers[] = {
    {"layer_norm_epsilon", &ModelConfig::layer_norm_eps, 1e-5},
    {"initializer_range", &ModelConfig::initializer_range, 0.02},
    {"embd_pdrop", &ModelConfig::embedding_dropout_prob, 0.1},
    {"resid_pdrop", &ModelConfig::hidden_dropout_prob, 0.1},
    {"attn_pdrop", &ModelConfig::attention_probs_dropout_prob, 0.1},
};

absl::Status ReadRest(const ParsedJson& json, ModelConfig* config) {
  config->type_vocab_size = 0;
  if (FindField(json, "n_inner") == nullptr) config->intermediate_size = 4 * config->hidden_size;
  SHOAL_RETURN_IF_ERROR(ExpectBool(json, "tie_word_embeddings", true, true));
  SHOAL_RETURN_IF_ERROR(ExpectBool(json, "scale_attn_weights", true, true));
  SHOAL_RETURN_IF_ERROR(ExpectBool(json, "scale_attn_by_inverse_layer_idx", false, false));
  return ExpectBool(json, "add_cross_attention", false, false);
}

void WriteRest(const ModelConfig&, Json* json) { (*json)["tie_word_embeddings"] = true; }

void AddLayer(const ModelConfig& config, int64_t layer, ParameterBuilder* builder,
              std::vector<SublayerSpec>* sublayers) {
  const int64_t hidden = config.hidden_size, inner = config.intermediate_size;
  // Files hold [in,out]. `residual`: for maps whose result enters a residual sum; with L layers, 2 L of them
  // add up.
  const ParameterBuilder::LinearOptions plain = {/*transposed=*/true, {}};
  const ParameterBuilder::LinearOptions residual = {
      /*transposed=*/true,
      config.initializer_range / std::sqrt(2.0 * static_cast<double>(config.num_hidden_layers))};
  SublayerSpec sublayer;
  sublayer.dropout = config.hidden_dropout_prob;

  AttentionSpec attention;
  sublayer.norm = builder->Norm("ln_1", hidden, config.layer_norm_eps);
  attention.qkv = builder->Linear("attn.c_attn", 3 * hidden, hidden, plain);
  attention.out = builder->SublayerOut(ParameterBuilder::SublayerKind::kAttention, "attn.c_proj", hidden,
                                       hidden, residual);
  attention.heads = config.num_attention_heads;
  attention.causal = true;
  attention.dropout = config.attention_probs_dropout_prob;
  attention.mask_site = layer;
  sublayer.branch = attention;
  sublayers->push_back(sublayer);

  MlpSpec mlp;
  sublayer.norm = builder->Norm("ln_2", hidden, config.layer_norm_eps);
  mlp.up = builder->Linear("mlp.c_fc", inner, hidden, plain);
  mlp.out = builder->SublayerOut(ParameterBuilder::SublayerKind::kFeedForward, "mlp.c_proj", hidden, inner,
                                 residual);
  mlp.activation = ActivationOf(config).op;
  sublayer.branch = mlp;
  sublayers->push_back(sublayer);
}

void Build(const Family& family, const ModelConfig& config, ParameterBuilder* builder, Recipe* body) {
  builder->SetPrefix(family.root);
  EmbeddingSpec& embedding = body->embedding;
  embedding.words = builder->Matrix("wte.weight", config.vocab_size, config.hidden_size);
  embedding.positions = builder->Matrix("wpe.weight", config.max_position_embeddings, config.hidden_size);
  embedding.dropout = config.embedding_dropout_prob;
  builder->EndGroup();
  for (int64_t layer = 0; layer < config.num_hidden_layers; ++layer) {
    builder->SetPrefix(absl::StrCat(family.root, "h.", layer, "."));
    AddLayer(config, layer, builder, &body->stack.sublayers);
    builder->EndGroup();
  }
  builder->SetPrefix(family.root);
  body->stack.last_norm = builder->Norm("ln_f", config.hidden_size, config.layer_norm_eps);
}

// It has no parameters of its own.
HeadSpec LanguageModelHead(const ModelConfig&, const Recipe& body, ParameterBuilder*) {
  return LanguageModelHeadSpec{body.embedding.words};
}

constexpr HeadType kLanguageModelHeads[] = {HEAD_TYPE_NEXT_TOKEN};
constexpr Architecture kArchitectures[] = {
    {"GPT2LMHeadModel", kLanguageModelHeads, LanguageModelHead},
};

constexpr Family Make() {
  Family family;
  family.family = MODEL_FAMILY_GPT2;
  family.norm = NORM_PLACEMENT_PRE;
  family.model_type = "gpt2";
  family.root = "transformer.";
  family.architectures = kArchitectures;
  family.causal = true;
  family.fields = {kIntegers, kNumbers, "activation_function", "gelu_new"};
  family.read_rest = ReadRest;
  family.write_rest = WriteRest;
  family.build = Build;
  return family;
}

}  // namespace

const Family kGpt2 = Make();

}  // namespace shoal::model
