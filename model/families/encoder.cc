#include "model/families/encoder.h"

#include <string>

#include "absl/functional/function_ref.h"
#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "model/heads.h"

namespace shoal::model {
namespace {

// Builds one encoder, part by part in forward order.
class EncoderBuilder {
 public:
  EncoderBuilder(const Family& family, const ModelConfig& config, const EncoderLayout& layout,
                 ParameterBuilder* builder)
      : family_(family), config_(config), layout_(layout), builder_(*builder) {}

  EmbeddingSpec Embedding() {
    EmbeddingSpec embedding;
    builder_.SetPrefix(absl::StrCat(family_.root, "embeddings."));
    embedding.scale = config_.embedding_scale;
    embedding.words = Table("word_embeddings.weight", config_.vocab_size);
    embedding.first_position = FirstPosition(family_, config_);
    embedding.positions =
        Table("position_embeddings.weight", config_.max_position_embeddings + embedding.first_position);
    if (config_.type_vocab_size > 0)
      embedding.types = Table("token_type_embeddings.weight", config_.type_vocab_size);
    if (layout_.norms_embeddings) embedding.norm = Norm("LayerNorm");
    embedding.dropout = config_.embedding_dropout_prob;
    return embedding;
  }

  void AddLayer(int64_t layer, std::vector<SublayerSpec>* sublayers) {
    builder_.SetPrefix(absl::StrCat(family_.root, layout_.layer, layer, "."));
    sublayers->push_back(Sublayer(layout_.attention_norm, [&] { return Attention(layer); }));
    if (!layout_.drops_attention_output) sublayers->back().dropout = 0;
    sublayers->push_back(Sublayer(layout_.mlp_norm, [&] { return Mlp(); }));
  }

  NormSpec LastNorm() {
    builder_.SetPrefix(family_.root);
    return Norm("LayerNorm");
  }

 private:
  using Branch = decltype(SublayerSpec::branch);
  using SublayerKind = ParameterBuilder::SublayerKind;

  int64_t hidden() const { return config_.hidden_size; }
  MatrixParameter Table(const char* name, int64_t rows) {
    return builder_.Matrix(name, rows, hidden(), config_.initializer_range / config_.embedding_scale);
  }
  NormSpec Norm(const char* name) { return builder_.Norm(name, hidden(), config_.layer_norm_eps); }

  // The norm is declared at the point where it runs.
  SublayerSpec Sublayer(const char* norm, absl::FunctionRef<Branch()> branch) {
    const bool in_front = family_.norm == NORM_PLACEMENT_PRE;
    SublayerSpec sublayer;
    if (in_front) sublayer.norm = Norm(norm);
    sublayer.branch = branch();
    if (!in_front) sublayer.norm = Norm(norm);
    sublayer.dropout = config_.hidden_dropout_prob;
    return sublayer;
  }

  AttentionSpec Attention(int64_t layer) {
    AttentionSpec attention;
    attention.qkv = builder_.JoinedLinear({layout_.query, layout_.key, layout_.value}, hidden(), hidden());
    attention.out = builder_.SublayerOut(SublayerKind::kAttention, layout_.attention_out, hidden(), hidden());
    attention.heads = config_.num_attention_heads;
    attention.dropout = config_.attention_probs_dropout_prob;
    attention.mask_site = layer;
    return attention;
  }

  MlpSpec Mlp() {
    MlpSpec mlp;
    mlp.up = builder_.Linear(layout_.up, config_.intermediate_size, hidden());
    mlp.out =
        builder_.SublayerOut(SublayerKind::kFeedForward, layout_.down, hidden(), config_.intermediate_size);
    mlp.activation = ActivationOf(config_).op;
    return mlp;
  }

  const Family& family_;
  const ModelConfig& config_;
  const EncoderLayout& layout_;
  ParameterBuilder& builder_;
};

}  // namespace

absl::Status ReadBertRest(const ParsedJson& json, ModelConfig*) {
  SHOAL_RETURN_IF_ERROR(ExpectBool(json, "is_decoder", false, false));
  SHOAL_ASSIGN_OR_RETURN(const std::string positions,
                         ReadString(json, "position_embedding_type", "absolute"));
  if (positions == "absolute") return absl::OkStatus();
  return InvalidConfig(absl::StrCat("position_embedding_type \"", positions, "\" is not supported"));
}

void AddEncoder(const Family& family, const ModelConfig& config, const EncoderLayout& layout,
                ParameterBuilder* builder, Recipe* body) {
  EncoderBuilder encoder(family, config, layout, builder);
  body->embedding = encoder.Embedding();
  builder->EndGroup();
  for (int64_t layer = 0; layer < config.num_hidden_layers; ++layer) {
    encoder.AddLayer(layer, &body->stack.sublayers);
    builder->EndGroup();
  }
  if (family.norm == NORM_PLACEMENT_PRE) body->stack.last_norm = encoder.LastNorm();
}

HeadSpec AddTokenHead(const ModelConfig& config, const Recipe&, ParameterBuilder* builder) {
  TokenClassificationHeadSpec head;
  head.dropout = config.hidden_dropout_prob;
  head.labels = builder->Linear("classifier", static_cast<int64_t>(config.labels.size()), config.hidden_size);
  return head;
}

SpanHeadSpec AddSpanHead(const ModelConfig& config, const Recipe&, ParameterBuilder* builder) {
  SpanHeadSpec head;
  head.ends = builder->Linear("qa_outputs", 2, config.hidden_size);
  return head;
}

MaskedLanguageModelHeadSpec AddMaskedHead(const ModelConfig& config, const Recipe& body, const char* dense,
                                          const char* norm, const char* bias, ParameterBuilder* builder) {
  MaskedLanguageModelHeadSpec head;
  head.words = body.embedding.words;
  head.bias = builder->Bias(bias, config.vocab_size);
  head.dense = builder->Linear(dense, config.hidden_size, config.hidden_size);
  head.activation = ActivationOf(config).op;
  head.norm = builder->Norm(norm, config.hidden_size, config.layer_norm_eps);
  return head;
}

ClassificationHeadSpec AddClassificationHead(const ModelConfig& config, const char* dense, const char* labels,
                                             ParameterBuilder* builder) {
  ClassificationHeadSpec head;
  head.loss = HeadOf(config.head).loss;
  head.dense = builder->Linear(dense, config.hidden_size, config.hidden_size);
  head.activation = kernels::Activation::kTanh;
  head.dropout = config.hidden_dropout_prob;
  head.labels = builder->Linear(labels, static_cast<int64_t>(config.labels.size()), config.hidden_size);
  return head;
}

}  // namespace shoal::model
