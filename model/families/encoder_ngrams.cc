// For short texts: a pre-norm encoder, and beside it a linear model of the text's n-grams in a hashed table
// (Weinberger et al., 2009). After the two parts of Cheng et al., "Wide & Deep Learning" (2016), but each is
// trained by its own loss (model/recipe.h). `transformers` has no such class.
#include "model/families/encoder.h"

namespace shoal::model {
namespace {

constexpr int64_t kNgramBuckets = 32768, kNgramLength = 3;
// A row of a table is read by few examples, so it has to learn faster than the rest: the update by Adam of
// what comes out of a table grows with the factor behind it, as it would with the table's learning rate.
constexpr double kNgramScale = 64, kEmbeddingScale = 5;

constexpr ConfigField<int64_t> kIntegers[] = {
    {"vocab_size", &ModelConfig::vocab_size, 8000},
    {"hidden_size", &ModelConfig::hidden_size, 128},
    {"num_hidden_layers", &ModelConfig::num_hidden_layers, 1},
    {"num_attention_heads", &ModelConfig::num_attention_heads, 4},
    {"intermediate_size", &ModelConfig::intermediate_size, 512},
    {"max_position_embeddings", &ModelConfig::max_position_embeddings, 64},
    {"pad_token_id", &ModelConfig::pad_token_id, 0},
    {"ngram_buckets", &ModelConfig::ngram_buckets, kNgramBuckets},
    {"ngram_length", &ModelConfig::ngram_length, kNgramLength},
};
constexpr ConfigField<double> kScales[] = {
    {"embedding_scale", &ModelConfig::embedding_scale, kEmbeddingScale},
    {"ngram_scale", &ModelConfig::ngram_scale, kNgramScale},
};
constexpr auto kNumbers = WithBertNumbers(kScales);

constexpr EncoderLayout Layout() {
  EncoderLayout layout;
  layout.norms_embeddings = false;
  return layout;
}

void SetDefaults(ModelConfig* config) {
  config->ngram_buckets = kNgramBuckets;
  config->ngram_length = kNgramLength;
  config->ngram_scale = kNgramScale;
  config->embedding_scale = kEmbeddingScale;
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
  NgramBagSpec ngrams;
  ngrams.table = builder->ZeroMatrix("ngrams.weight", config.ngram_buckets, labels);
  ngrams.longest = static_cast<int>(config.ngram_length);
  ngrams.scale = config.ngram_scale;
  head.ngrams = ngrams;
  return head;
}

constexpr HeadType kHeads[] = {HEAD_TYPE_CLASS};
constexpr Architecture kArchitectures[] = {{"EncoderNgramsForSequenceClassification", kHeads, SequenceHead}};

constexpr Family Make() {
  Family family;
  family.family = MODEL_FAMILY_ENCODER_NGRAMS;
  family.norm = NORM_PLACEMENT_PRE;
  family.model_type = "shoal-encoder-ngrams";
  family.root = "encoder_ngrams.";
  family.architectures = kArchitectures;
  family.has_ngrams = true;
  family.fields = {kIntegers, kNumbers, "hidden_act", "gelu"};
  family.set_defaults = SetDefaults;
  family.read_rest = ReadRest;
  family.build = Build;
  return family;
}

}  // namespace

const Family kEncoderNgrams = Make();

}  // namespace shoal::model
