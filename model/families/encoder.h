// What encoders of BERT's kind have in common: the fields of their config.json, their layers (with varying
// names), and a head for sequences.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <iterator>

#include "model/families/family.h"

namespace shoal::model {

// BERT's fields. `vocab_size`, `pad_token_id`: the values where the config leaves them out.
constexpr std::array<ConfigField<int64_t>, 8> BertIntegers(int64_t vocab_size, int64_t pad_token_id) {
  return {{
      {"vocab_size", &ModelConfig::vocab_size, vocab_size},
      {"hidden_size", &ModelConfig::hidden_size, 768},
      {"num_hidden_layers", &ModelConfig::num_hidden_layers, 12},
      {"num_attention_heads", &ModelConfig::num_attention_heads, 12},
      {"intermediate_size", &ModelConfig::intermediate_size, 3072},
      {"max_position_embeddings", &ModelConfig::max_position_embeddings, 512},
      {"type_vocab_size", &ModelConfig::type_vocab_size, 2},
      {"pad_token_id", &ModelConfig::pad_token_id, pad_token_id},
  }};
}
// The embeddings' dropout has no field of its own.
inline constexpr ConfigField<double> kBertNumbers[] = {
    {"layer_norm_eps", &ModelConfig::layer_norm_eps, 1e-12},
    {"initializer_range", &ModelConfig::initializer_range, 0.02},
    {"hidden_dropout_prob", &ModelConfig::embedding_dropout_prob, 0.1},
    {"hidden_dropout_prob", &ModelConfig::hidden_dropout_prob, 0.1},
    {"attention_probs_dropout_prob", &ModelConfig::attention_probs_dropout_prob, 0.1},
};
// BERT's fields, and others after them.
template <size_t N>
constexpr std::array<ConfigField<double>, std::size(kBertNumbers) + N> WithBertNumbers(
    const ConfigField<double> (&others)[N]) {
  std::array<ConfigField<double>, std::size(kBertNumbers) + N> fields = {};
  for (size_t i = 0; i < fields.size(); ++i)
    fields[i] = i < std::size(kBertNumbers) ? kBertNumbers[i] : others[i - std::size(kBertNumbers)];
  return fields;
}
// Refuses decoders, and positions other than learned ones.
absl::Status ReadBertRest(const ParsedJson& json, ModelConfig* config);

// What the parameters of an encoder's layers are called, and where they differ from BERT's.
struct EncoderLayout {
  const char* layer = "encoder.layer.";  // precedes the layer's number; the names below follow it
  const char* query = "attention.self.query";
  const char* key = "attention.self.key";
  const char* value = "attention.self.value";
  const char* attention_out = "attention.output.dense";
  const char* attention_norm = "attention.output.LayerNorm";
  const char* up = "intermediate.dense";
  const char* down = "output.dense";
  const char* mlp_norm = "output.LayerNorm";
  bool norms_embeddings = true;
  bool drops_attention_output = true;
};

// Adds embeddings and layers, up to the last norm. With pre-norm that norm is the first in the head's group.
void AddEncoder(const Family& family, const ModelConfig& config, const EncoderLayout& layout,
                ParameterBuilder* builder, Recipe* body);

// The heads of ...ForSequenceClassification.
inline constexpr HeadType kSequenceHeads[] = {HEAD_TYPE_CLASS, HEAD_TYPE_NUMBER, HEAD_TYPE_LABELS};

// The heads of ...ForTokenClassification, which have the same parameters in all of these families.
inline constexpr HeadType kTokenHeads[] = {HEAD_TYPE_TOKEN_CLASSES};
HeadSpec AddTokenHead(const ModelConfig& config, const Recipe& body, ParameterBuilder* builder);

// The head of ...ForQuestionAnswering, likewise, but only DistilBERT has dropout in front of it.
inline constexpr HeadType kSpanHeads[] = {HEAD_TYPE_SPAN};
SpanHeadSpec AddSpanHead(const ModelConfig& config, const Recipe& body, ParameterBuilder* builder);

// The head of ...ForMaskedLM, with the names of its parts.
inline constexpr HeadType kMaskedHeads[] = {HEAD_TYPE_MASKED_TOKEN};
MaskedLanguageModelHeadSpec AddMaskedHead(const ModelConfig& config, const Recipe& body, const char* dense,
                                          const char* norm, const char* bias, ParameterBuilder* builder);

// Adds the parameters of one of kSequenceHeads. The caller sets what differs from BERT's head.
ClassificationHeadSpec AddClassificationHead(const ModelConfig& config, const char* dense, const char* labels,
                                             ParameterBuilder* builder);

}  // namespace shoal::model
