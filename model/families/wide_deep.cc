// Wide and deep (Cheng et al., 2016) for short texts: a pre-norm encoder, and beside it a linear model of
// the text's n-grams in a hashed table (Weinberger et al., 2009). `transformers` has no such class.
#include "model/families/encoder.h"

namespace shoal::model {
namespace {

constexpr int64_t kNgramBuckets = 32768;
// Rows of tables are read by few examples, so they have to learn faster than the rest: with Adam, a factor
// after a table does what it would do to the table's learning rate.
constexpr double kEmbeddingScale = 5, kNgramScale = 64;

constexpr ConfigField<int64_t> kIntegers[] = {
    {"vocab_size", &ModelConfig::vocab_size, 8000},
    {"hidden_size", &ModelConfig::hidden_size, 128},
    {"num_hidden_layers", &ModelConfig::num_hidden_layers, 1},
    {"num_attention_heads", &ModelConfig::num_attention_heads, 4},
    {"intermediate_size", &ModelConfig::intermediate_size, 512},
    {"max_position_embeddings", &ModelConfig::max_position_embeddings, 64},
    {"pad_token_id", &ModelConfig::pad_token_id, 0},
    {"ngram_buckets", &ModelConfig::ngram_buckets, kNgramBuckets},
};

constexpr EncoderLayout Layout() {
  EncoderLayout layout;
  layout.embedding_scale = kEmbeddingScale;
  layout.norms_embeddings = false;
  return layout;
}

absl::Status ReadRest(const ParsedJson&, ModelConfig* config) {
  config->type_vocab_size = 0;
  return absl::OkStatus();
}

void Build(const Family& family, const ModelConfig& config, ParameterBuilder* builder, Recipe* body) {
  AddEncoder(family, config, Layout(), builder, body);
}

HeadSpec SequenceHead(const ModelConfig& config, const Recipe&, ParameterBuilder* builder) {
  const auto labels = static_cast<int64_t>(config.labels.size());
  ClassificationHeadSpec head;
  head.loss = HeadOf(config.head).loss;
  head.pooling = Pooling::kMean;
  head.dropout = config.hidden_dropout_prob;
  head.labels = builder->Linear("classifier", labels, config.hidden_size);
  head.ngrams = NgramBagSpec{builder->ZeroMatrix("ngrams.weight", config.ngram_buckets, labels), kNgramScale};
  return head;
}

// The two parts' logits are added, which makes no sense for numbers.
constexpr HeadType kHeads[] = {HEAD_TYPE_CLASS};
constexpr Architecture kArchitectures[] = {{"WideDeepForSequenceClassification", kHeads, SequenceHead}};

constexpr Family Make() {
  Family family;
  family.family = MODEL_FAMILY_WIDE_DEEP;
  family.norm = NORM_PLACEMENT_PRE;
  family.model_type = "shoal-wide-deep";
  family.root = "wide_deep.";
  family.architectures = kArchitectures;
  family.ngram_buckets = kNgramBuckets;
  family.fields = {kIntegers, kBertNumbers, "hidden_act", "gelu"};
  family.read_rest = ReadRest;
  family.build = Build;
  return family;
}

}  // namespace

const Family kWideDeep = Make();

}  // namespace shoal::model
