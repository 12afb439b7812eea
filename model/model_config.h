// The shape of a model: what Hugging Face's config.json says, in its words.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "proto/job.pb.h"

namespace shoal::model {

// Low-rank additions to linear maps (LowRankSpec in model/recipe.h).
struct LoraConfig {
  int64_t rank = 0;  // 0: there are none
  double alpha = 0;  // the additions are scaled by alpha / rank
  double dropout = 0;
  std::vector<std::string> targets;  // maps, by the end of their names: "query", "output.dense"
};

// Bottleneck adapters in the layers (BottleneckSpec in model/recipe.h).
struct BottleneckConfig {
  int64_t size = 0;  // 0: there are none
  AdapterPlacement placement = ADAPTER_PLACEMENT_BOTH;
};

// A Transformer with learned positions, of one of the families in model/families.
struct ModelConfig {
  ModelFamily family = MODEL_FAMILY_BERT;
  NormPlacement norm = NORM_PLACEMENT_POST;
  HeadType head = HEAD_TYPE_CLASS;  // one that the family has
  ActivationType activation = ACTIVATION_TYPE_GELU;
  int64_t vocab_size = 0;
  int64_t hidden_size = 128;
  int64_t num_hidden_layers = 2;
  int64_t num_attention_heads = 2;
  int64_t intermediate_size = 512;
  int64_t max_position_embeddings = 64;  // maximum tokens per example
  int64_t type_vocab_size = 2;           // 0: there are no token types
  int64_t ngram_buckets = 0;             // 0: the head has no n-grams
  int64_t ngram_length = 0;              // maximum number of tokens in one of them
  double ngram_scale = 1;
  double embedding_scale = 1;
  int64_t pad_token_id = 0;  // -1: none (causal families only, like the two below)
  int64_t bos_token_id = -1;
  int64_t eos_token_id = -1;
  double layer_norm_eps = 1e-12;
  double initializer_range = 0.02;
  double embedding_dropout_prob = 0.1;  // hidden_dropout_prob where a family has no field for it
  double hidden_dropout_prob = 0.1;
  double attention_probs_dropout_prob = 0.1;
  std::vector<std::string> labels;  // columns of the logits; as many as the head needs (model/heads.h)
  std::string task;      // the word of the job's task, where the head is that of another one too; or empty
  double threshold = 0;  // of the task's predictions (tasks/task.h); 0: none
  LoraConfig lora;
  BottleneckConfig adapters;

  // Whether a token sees only those before it; depends on the family.
  bool causal() const;
};

// What a new model must know of its vocabulary.
struct VocabularyInfo {
  int64_t size = 0;
  int64_t pad = 0;  // the ids of the tokens that fill up an example and that end one
  int64_t end = 0;
  int64_t token_types = 1;  // that the examples have
};

// For a completed spec without `model.from`. `labels` as above.
ModelConfig ConfigFromSpec(const ModelSpec& spec, HeadType head, const VocabularyInfo& vocabulary,
                           std::vector<std::string> labels);

// Replaces what a job may change in a model that it starts from: dropout, head and labels, and what belongs
// to them.
void ApplySpec(const ModelSpec& spec, HeadType head, std::vector<std::string> labels, ModelConfig* config);

// What becomes of the head that a config.json names.
enum class HeadUse {
  kKept,
  kReplaced,  // a job makes its own (ApplySpec): the class may be any of the family's, such as
              // BertForMaskedLM
};

// From config.json. Fields that are left out get `transformers`' defaults.
// Errors: INVALID_ARGUMENT for JSON that is malformed, a model type or class that is not supported (named,
// with those that are), or an invalid shape.
absl::StatusOr<ModelConfig> ParseModelConfig(absl::string_view json, HeadUse use = HeadUse::kKept);

// The number of columns of the logits that a checked config's head computes.
int64_t LogitColumns(const ModelConfig& config);

// The classes of `transformers` that ParseModelConfig supports.
std::vector<std::string> SupportedClasses();

// config.json for `transformers`; ParseModelConfig reads it back.
std::string PrintModelConfig(const ModelConfig& config);

// Errors: INVALID_ARGUMENT that names the field.
absl::Status CheckModelConfig(const ModelConfig& config);

}  // namespace shoal::model
