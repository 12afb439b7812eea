#include "model/parameters.h"

#include <cmath>
#include <initializer_list>
#include <utility>

#include "absl/strings/str_cat.h"

namespace shoal {
namespace {

// Appends parameters one behind the other.
class Builder {
 public:
  Builder(const ModelConfig& config, Parameters* out) : config_(config), out_(out) {}

  void SetPrefix(std::string prefix) { prefix_ = std::move(prefix); }

  uint64_t Add(absl::string_view name, std::initializer_list<int64_t> shape, Initializer::Kind kind) {
    ParameterInfo info;
    info.set_name(absl::StrCat(prefix_, name));
    info.set_offset(out_->size);
    uint64_t size = 1;
    for (int64_t dimension : shape) {
      info.add_shape(dimension);
      size *= dimension;
    }
    info.set_decay(shape.size() > 1);
    info.mutable_init()->set_kind(kind);
    if (kind == Initializer::NORMAL)
      info.mutable_init()->set_stddev(static_cast<float>(config_.initializer_range));
    out_->infos.push_back(std::move(info));
    out_->size += size;
    return out_->size - size;
  }
  uint64_t Weight(absl::string_view name, int64_t rows, int64_t columns) {
    return Add(name, {rows, columns}, Initializer::NORMAL);
  }
  // GPT-2's files hold [in, out].
  uint64_t TransposedWeight(absl::string_view name, int64_t rows, int64_t columns) {
    const uint64_t offset = Weight(name, rows, columns);
    out_->infos.back().set_transposed(true);
    return offset;
  }
  // In front of a residual sum: with L layers 2 L of them add up.
  uint64_t ResidualWeight(absl::string_view name, int64_t rows, int64_t columns) {
    const uint64_t offset = TransposedWeight(name, rows, columns);
    out_->infos.back().mutable_init()->set_stddev(static_cast<float>(
        config_.initializer_range / std::sqrt(2.0 * static_cast<double>(config_.num_hidden_layers))));
    return offset;
  }
  uint64_t Bias(absl::string_view name, int64_t size) { return Add(name, {size}, Initializer::ZEROS); }
  void Norm(absl::string_view name, uint64_t* weight, uint64_t* bias) {
    *weight = Add(absl::StrCat(name, ".weight"), {config_.hidden_size}, Initializer::ONES);
    *bias = Add(absl::StrCat(name, ".bias"), {config_.hidden_size}, Initializer::ZEROS);
  }
  void BeginTask() { out_->task_begin = out_->size; }
  void EndGroup() {
    out_->group_sizes.push_back(out_->size - group_begin_);
    out_->group_begins.push_back(group_begin_);
    group_begin_ = out_->size;
  }

 private:
  const ModelConfig& config_;
  Parameters* const out_;
  std::string prefix_;
  uint64_t group_begin_ = 0;
};

// ---- bert ----

const char* Root(const ModelConfig& config) {
  return config.norm == NORM_PLACEMENT_PRE ? "roberta_prelayernorm." : "bert.";
}

EmbeddingOffsets AddBertEmbeddings(const ModelConfig& config, Builder* builder) {
  const int64_t hidden = config.hidden_size;
  EmbeddingOffsets at;
  builder->SetPrefix(absl::StrCat(Root(config), "embeddings."));
  at.words = builder->Weight("word_embeddings.weight", config.vocab_size, hidden);
  at.positions = builder->Weight("position_embeddings.weight",
                                 config.max_position_embeddings + config.position_offset(), hidden);
  at.types = builder->Weight("token_type_embeddings.weight", config.type_vocab_size, hidden);
  builder->Norm("LayerNorm", &at.norm_weight, &at.norm_bias);
  builder->EndGroup();
  return at;
}

LayerOffsets AddBertLayer(const ModelConfig& config, int64_t layer, Builder* builder) {
  const int64_t hidden = config.hidden_size, inner = config.intermediate_size;
  const bool pre = config.norm == NORM_PLACEMENT_PRE;
  LayerOffsets at;
  builder->SetPrefix(absl::StrCat(Root(config), "encoder.layer.", layer, "."));
  if (pre) builder->Norm("attention.LayerNorm", &at.attention_norm_weight, &at.attention_norm_bias);
  at.qkv_weight = builder->Weight("attention.self.query.weight", hidden, hidden);
  builder->Weight("attention.self.key.weight", hidden, hidden);
  builder->Weight("attention.self.value.weight", hidden, hidden);
  at.qkv_bias = builder->Bias("attention.self.query.bias", hidden);
  builder->Bias("attention.self.key.bias", hidden);
  builder->Bias("attention.self.value.bias", hidden);
  at.out_weight = builder->Weight("attention.output.dense.weight", hidden, hidden);
  at.out_bias = builder->Bias("attention.output.dense.bias", hidden);
  if (!pre) builder->Norm("attention.output.LayerNorm", &at.attention_norm_weight, &at.attention_norm_bias);
  if (pre) builder->Norm("intermediate.LayerNorm", &at.feed_forward_norm_weight, &at.feed_forward_norm_bias);
  at.up_weight = builder->Weight("intermediate.dense.weight", inner, hidden);
  at.up_bias = builder->Bias("intermediate.dense.bias", inner);
  at.down_weight = builder->Weight("output.dense.weight", hidden, inner);
  at.down_bias = builder->Bias("output.dense.bias", hidden);
  if (!pre) builder->Norm("output.LayerNorm", &at.feed_forward_norm_weight, &at.feed_forward_norm_bias);
  builder->EndGroup();
  return at;
}

HeadOffsets AddBertHead(const ModelConfig& config, Builder* builder) {
  const int64_t hidden = config.hidden_size, labels = static_cast<int64_t>(config.labels.size());
  const bool pre = config.norm == NORM_PLACEMENT_PRE;
  HeadOffsets at;
  builder->SetPrefix(Root(config));
  if (pre) builder->Norm("LayerNorm", &at.norm_weight, &at.norm_bias);
  builder->BeginTask();
  if (pre) builder->SetPrefix("");
  const char* const dense = pre ? "classifier.dense" : "pooler.dense";
  at.dense_weight = builder->Weight(absl::StrCat(dense, ".weight"), hidden, hidden);
  at.dense_bias = builder->Bias(absl::StrCat(dense, ".bias"), hidden);
  builder->SetPrefix("");
  const char* const out = pre ? "classifier.out_proj" : "classifier";
  at.label_weight = builder->Weight(absl::StrCat(out, ".weight"), labels, hidden);
  at.label_bias = builder->Bias(absl::StrCat(out, ".bias"), labels);
  builder->EndGroup();
  return at;
}

// ---- gpt2 ----

EmbeddingOffsets AddGpt2Embeddings(const ModelConfig& config, Builder* builder) {
  EmbeddingOffsets at;
  builder->SetPrefix("transformer.");
  at.words = builder->Weight("wte.weight", config.vocab_size, config.hidden_size);
  at.positions = builder->Weight("wpe.weight", config.max_position_embeddings, config.hidden_size);
  builder->EndGroup();
  return at;
}

LayerOffsets AddGpt2Layer(const ModelConfig& config, int64_t layer, Builder* builder) {
  const int64_t hidden = config.hidden_size, inner = config.intermediate_size;
  LayerOffsets at;
  builder->SetPrefix(absl::StrCat("transformer.h.", layer, "."));
  builder->Norm("ln_1", &at.attention_norm_weight, &at.attention_norm_bias);
  at.qkv_weight = builder->TransposedWeight("attn.c_attn.weight", 3 * hidden, hidden);
  at.qkv_bias = builder->Bias("attn.c_attn.bias", 3 * hidden);
  at.out_weight = builder->ResidualWeight("attn.c_proj.weight", hidden, hidden);
  at.out_bias = builder->Bias("attn.c_proj.bias", hidden);
  builder->Norm("ln_2", &at.feed_forward_norm_weight, &at.feed_forward_norm_bias);
  at.up_weight = builder->TransposedWeight("mlp.c_fc.weight", inner, hidden);
  at.up_bias = builder->Bias("mlp.c_fc.bias", inner);
  at.down_weight = builder->ResidualWeight("mlp.c_proj.weight", hidden, inner);
  at.down_bias = builder->Bias("mlp.c_proj.bias", hidden);
  builder->EndGroup();
  return at;
}

HeadOffsets AddGpt2Head(Builder* builder) {
  HeadOffsets at;
  builder->SetPrefix("transformer.");
  builder->Norm("ln_f", &at.norm_weight, &at.norm_bias);
  builder->BeginTask();
  builder->EndGroup();
  return at;
}

}  // namespace

Parameters MakeParameters(const ModelConfig& config) {
  const bool gpt2 = config.family == MODEL_FAMILY_GPT2;
  Parameters parameters;
  Builder builder(config, &parameters);
  parameters.embeddings = gpt2 ? AddGpt2Embeddings(config, &builder) : AddBertEmbeddings(config, &builder);
  for (int64_t layer = 0; layer < config.num_hidden_layers; ++layer) {
    parameters.layers.push_back(gpt2 ? AddGpt2Layer(config, layer, &builder)
                                     : AddBertLayer(config, layer, &builder));
  }
  parameters.head = gpt2 ? AddGpt2Head(&builder) : AddBertHead(config, &builder);
  return parameters;
}

}  // namespace shoal
