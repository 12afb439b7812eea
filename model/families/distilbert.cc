// DistilBERT (Sanh et al., 2019): no token types, no dropout after attention, and a head with ReLU.
#include "model/families/encoder.h"

namespace shoal::model {
namespace {

constexpr ConfigField<int64_t> kIntegers[] = {
    {"vocab_size", &ModelConfig::vocab_size, 30522},
    {"dim", &ModelConfig::hidden_size, 768},
    {"n_layers", &ModelConfig::num_hidden_layers, 6},
    {"n_heads", &ModelConfig::num_attention_heads, 12},
    {"hidden_dim", &ModelConfig::intermediate_size, 3072},
    {"max_position_embeddings", &ModelConfig::max_position_embeddings, 512},
    {"pad_token_id", &ModelConfig::pad_token_id, 0},
};
constexpr ConfigField<double> kNumbers[] = {
    {"initializer_range", &ModelConfig::initializer_range, 0.02},
    {"dropout", &ModelConfig::embedding_dropout_prob, 0.1},
    {"dropout", &ModelConfig::hidden_dropout_prob, 0.1},
    {"attention_dropout", &ModelConfig::attention_probs_dropout_prob, 0.1},
};

constexpr EncoderLayout Layout() {
  EncoderLayout layout;
  layout.layer = "transformer.layer.";
  layout.query = "attention.q_lin";
  layout.key = "attention.k_lin";
  layout.value = "attention.v_lin";
  layout.attention_out = "attention.out_lin";
  layout.attention_norm = "sa_layer_norm";
  layout.up = "ffn.lin1";
  layout.down = "ffn.lin2";
  layout.mlp_norm = "output_layer_norm";
  layout.drops_attention_output = false;
  return layout;
}

absl::Status ReadRest(const ParsedJson& json, ModelConfig* config) {
  config->type_vocab_size = 0;
  return ExpectBool(json, "sinusoidal_pos_embds", false, false);
}

// The head has the dropout of the layers: a job has only one.
void WriteRest(const ModelConfig& config, Json* json) {
  for (const char* field : {"seq_classif_dropout", "qa_dropout"}) (*json)[field] = config.hidden_dropout_prob;
}

void Build(const Family& family, const ModelConfig& config, ParameterBuilder* builder, Recipe* body) {
  AddEncoder(family, config, Layout(), builder, body);
}

HeadSpec SequenceHead(const ModelConfig& config, const Recipe&, ParameterBuilder* builder) {
  ClassificationHeadSpec head = AddClassificationHead(config, "pre_classifier", "classifier", builder);
  head.activation = kernels::Activation::kRelu;
  return head;
}

HeadSpec SpanHead(const ModelConfig& config, const Recipe& body, ParameterBuilder* builder) {
  SpanHeadSpec head = AddSpanHead(config, body, builder);
  head.dropout = config.hidden_dropout_prob;
  return head;
}

HeadSpec MaskedHead(const ModelConfig& config, const Recipe& body, ParameterBuilder* builder) {
  return AddMaskedHead(config, body, "vocab_transform", "vocab_layer_norm", "vocab_projector.bias", builder);
}

constexpr Architecture kArchitectures[] = {
    {"DistilBertForSequenceClassification", kSequenceHeads, SequenceHead},
    {"DistilBertForTokenClassification", kTokenHeads, AddTokenHead},
    {"DistilBertForQuestionAnswering", kSpanHeads, SpanHead},
    {"DistilBertForMaskedLM", kMaskedHeads, MaskedHead},
};

constexpr Family Make() {
  Family family;
  family.family = MODEL_FAMILY_DISTILBERT;
  family.model_type = "distilbert";
  family.root = "distilbert.";
  family.architectures = kArchitectures;
  family.fixed_epsilon = true;
  family.fields = {kIntegers, kNumbers, "activation", "gelu"};
  family.read_rest = ReadRest;
  family.write_rest = WriteRest;
  family.build = Build;
  return family;
}

}  // namespace

const Family kDistilBert = Make();

}  // namespace shoal::model
