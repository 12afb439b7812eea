// ELECTRA's discriminator (Clark et al., 2020), where its embeddings are as wide as its layers: BERT without
// a pooler, whose head for sequences has a layer of its own.
#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "model/families/encoder.h"

namespace shoal::model {
namespace {

constexpr char kEmbeddingSize[] = "embedding_size";
constexpr int64_t kMissingEmbeddingSize = 128;

constexpr ConfigField<int64_t> kIntegers[] = {
    {"vocab_size", &ModelConfig::vocab_size, 30522},
    {"hidden_size", &ModelConfig::hidden_size, 256},
    {"num_hidden_layers", &ModelConfig::num_hidden_layers, 12},
    {"num_attention_heads", &ModelConfig::num_attention_heads, 4},
    {"intermediate_size", &ModelConfig::intermediate_size, 1024},
    {"max_position_embeddings", &ModelConfig::max_position_embeddings, 512},
    {"type_vocab_size", &ModelConfig::type_vocab_size, 2},
    {"pad_token_id", &ModelConfig::pad_token_id, 0},
};

HeadSpec SequenceHead(const ModelConfig& config, const Recipe&, ParameterBuilder* builder) {
  ClassificationHeadSpec head =
      AddClassificationHead(config, "classifier.dense", "classifier.out_proj", builder);
  head.input_dropout = config.hidden_dropout_prob;
  head.activation = kernels::Activation::kGelu;  // whatever the layers have
  return head;
}

HeadSpec SpanHead(const ModelConfig& config, const Recipe& body, ParameterBuilder* builder) {
  return AddSpanHead(config, body, builder);
}

constexpr Architecture kArchitectures[] = {
    {"ElectraForSequenceClassification", kSequenceHeads, SequenceHead},
    {"ElectraForTokenClassification", kTokenHeads, AddTokenHead},
    {"ElectraForQuestionAnswering", kSpanHeads, SpanHead},
};

absl::Status ReadRest(const ParsedJson& json, ModelConfig* config) {
  SHOAL_RETURN_IF_ERROR(ReadBertRest(json, config));
  const ParsedJson* const size = FindField(json, kEmbeddingSize);
  if (size != nullptr && !size->is_number_integer())
    return InvalidConfig(absl::StrCat(kEmbeddingSize, " is not an integer"));
  const int64_t embedding_size = size == nullptr ? kMissingEmbeddingSize : size->get<int64_t>();
  if (embedding_size == config->hidden_size) return absl::OkStatus();
  return InvalidConfig(absl::StrCat(kEmbeddingSize, " ", embedding_size,
                                    " is not supported: expected hidden_size, ", config->hidden_size));
}

void WriteRest(const ModelConfig& config, Json* json) { (*json)[kEmbeddingSize] = config.hidden_size; }

void Build(const Family& family, const ModelConfig& config, ParameterBuilder* builder, Recipe* body) {
  AddEncoder(family, config, EncoderLayout(), builder, body);
}

constexpr Family Make() {
  Family family;
  family.family = MODEL_FAMILY_ELECTRA;
  family.model_type = "electra";
  family.root = "electra.";
  family.architectures = kArchitectures;
  family.token_types = 1;
  family.fields = {kIntegers, kBertNumbers, "hidden_act", "gelu"};
  family.read_rest = ReadRest;
  family.write_rest = WriteRest;
  family.build = Build;
  return family;
}

}  // namespace

const Family kElectra = Make();

}  // namespace shoal::model
