// RoBERTa (Liu et al., 2019), and its pre-norm variant (Ott et al., "fairseq", 2019). Positions start after
// the padding token's row, and the head has layers of its own instead of BERT's pooler.
#include "model/families/encoder.h"

namespace shoal::model {
namespace {

constexpr auto kIntegers = BertIntegers(/*vocab_size=*/50265, /*pad_token_id=*/1);

constexpr EncoderLayout PreLayerNormLayout() {
  EncoderLayout layout;
  layout.attention_norm = "attention.LayerNorm";
  layout.mlp_norm = "intermediate.LayerNorm";
  return layout;
}

HeadSpec SequenceHead(const ModelConfig& config, const Recipe&, ParameterBuilder* builder) {
  ClassificationHeadSpec head =
      AddClassificationHead(config, "classifier.dense", "classifier.out_proj", builder);
  head.input_dropout = config.hidden_dropout_prob;
  return head;
}

HeadSpec SpanHead(const ModelConfig& config, const Recipe& body, ParameterBuilder* builder) {
  return AddSpanHead(config, body, builder);
}

HeadSpec MaskedHead(const ModelConfig& config, const Recipe& body, ParameterBuilder* builder) {
  return AddMaskedHead(config, body, "lm_head.dense", "lm_head.layer_norm", "lm_head.bias", builder);
}

constexpr Architecture kArchitectures[] = {
    {"RobertaForSequenceClassification", kSequenceHeads, SequenceHead},
    {"RobertaForTokenClassification", kTokenHeads, AddTokenHead},
    {"RobertaForQuestionAnswering", kSpanHeads, SpanHead},
    {"RobertaForMaskedLM", kMaskedHeads, MaskedHead},
};
constexpr Architecture kPreLayerNormArchitectures[] = {
    {"RobertaPreLayerNormForSequenceClassification", kSequenceHeads, SequenceHead},
    {"RobertaPreLayerNormForTokenClassification", kTokenHeads, AddTokenHead},
    {"RobertaPreLayerNormForQuestionAnswering", kSpanHeads, SpanHead},
    {"RobertaPreLayerNormForMaskedLM", kMaskedHeads, MaskedHead},
};

void Build(const Family& family, const ModelConfig& config, ParameterBuilder* builder, Recipe* body) {
  AddEncoder(family, config, EncoderLayout(), builder, body);
}

void BuildPreLayerNorm(const Family& family, const ModelConfig& config, ParameterBuilder* builder,
                       Recipe* body) {
  AddEncoder(family, config, PreLayerNormLayout(), builder, body);
}

constexpr Family Make() {
  Family family;
  family.family = MODEL_FAMILY_ROBERTA;
  family.model_type = "roberta";
  family.root = "roberta.";
  family.architectures = kArchitectures;
  family.token_types = 1;
  family.positions_follow_padding = true;
  family.fields = {kIntegers, kBertNumbers, "hidden_act", "gelu"};
  family.read_rest = ReadBertRest;
  family.build = Build;
  return family;
}

// A job selects it as bert with pre-norm.
constexpr Family MakePreLayerNorm() {
  Family family = Make();
  family.family = MODEL_FAMILY_BERT;
  family.norm = NORM_PLACEMENT_PRE;
  family.model_type = "roberta-prelayernorm";
  family.root = "roberta_prelayernorm.";
  family.architectures = kPreLayerNormArchitectures;
  family.build = BuildPreLayerNorm;
  return family;
}

}  // namespace

const Family kRoberta = Make();
const Family kRobertaPreLayerNorm = MakePreLayerNorm();

}  // namespace shoal::model
