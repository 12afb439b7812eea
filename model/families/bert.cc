// BERT (Devlin et al., 2019).
#include "model/families/encoder.h"

namespace shoal::model {
namespace {

constexpr auto kIntegers = BertIntegers(/*vocab_size=*/30522, /*pad_token_id=*/0);

void Build(const Family& family, const ModelConfig& config, ParameterBuilder* builder, Recipe* body) {
  AddEncoder(family, config, EncoderLayout(), builder, body);
}

HeadSpec SequenceHead(const ModelConfig& config, const Recipe&, ParameterBuilder* builder) {
  return AddClassificationHead(config, "bert.pooler.dense", "classifier", builder);
}

HeadSpec SpanHead(const ModelConfig& config, const Recipe& body, ParameterBuilder* builder) {
  return AddSpanHead(config, body, builder);
}

HeadSpec MaskedHead(const ModelConfig& config, const Recipe& body, ParameterBuilder* builder) {
  return AddMaskedHead(config, body, "cls.predictions.transform.dense", "cls.predictions.transform.LayerNorm",
                       "cls.predictions.bias", builder);
}

constexpr Architecture kArchitectures[] = {
    {"BertForSequenceClassification", kSequenceHeads, SequenceHead},
    {"BertForTokenClassification", kTokenHeads, AddTokenHead},
    {"BertForQuestionAnswering", kSpanHeads, SpanHead},
    {"BertForMaskedLM", kMaskedHeads, MaskedHead, "BertForPreTraining"},
};

constexpr Family Make() {
  Family family;
  family.model_type = "bert";
  family.root = "bert.";
  family.architectures = kArchitectures;
  family.token_types = 1;
  family.fields = {kIntegers, kBertNumbers, "hidden_act", "gelu"};
  family.read_rest = ReadBertRest;
  family.build = Build;
  return family;
}

}  // namespace

const Family kBert = Make();

}  // namespace shoal::model
