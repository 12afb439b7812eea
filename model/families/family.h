// A family of models: how its config.json reads, and its recipe. One file each; registry.cc lists them.
#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "kernels/activation.h"
#include "model/families/config_fields.h"
#include "model/model_config.h"
#include "model/parameter_builder.h"
#include "model/recipe.h"

namespace shoal {

struct Family {
  // A job's words for it; together they are one family's alone.
  ModelFamily family = MODEL_FAMILY_BERT;
  NormPlacement norm = NORM_PLACEMENT_POST;
  // `transformers`' words: "model_type" of config.json, the class with our head, the prefix of its names that
  // bare models lack.
  const char* model_type = "";
  const char* architecture = "";
  const char* root = "";

  bool causal = false;                    // predicts the next token, and has no labels
  int64_t token_types = 0;                // of a model made anew; 0: the family has none
  bool positions_follow_padding = false;  // the table's rows up to pad_token_id are not used
  bool fixed_epsilon = false;             // its norms' epsilon is the field's default, and not in config.json
  ConfigFields fields;

  // The rest of config.json, after the fields: refuses what we would compute otherwise. Null: nothing.
  absl::Status (*read_rest)(const Json& json, ModelConfig* config) = nullptr;
  // The rest of config.json, after the fields. Null: nothing.
  void (*write_rest)(const ModelConfig& config, Json* json) = nullptr;

  // Declares the parameters and describes the layers; the config is checked already. The placement of norms
  // is set.
  void (*build)(const Family& family, const ModelConfig& config, ParameterBuilder* builder,
                Recipe* recipe) = nullptr;
};

// Each in its file.
extern const Family kBert, kDistilBert, kGpt2, kRoberta, kRobertaPreLayerNorm;

// All of them.
absl::Span<const Family* const> Families();

// Null when there is none.
const Family* FindFamily(ModelFamily family, NormPlacement norm);
const Family* FindFamily(absl::string_view model_type);

// ---- what several families' recipes say ----

// Rows of the table of positions that stand unused in front.
int64_t FirstPosition(const Family& family, const ModelConfig& config);

Activation ActivationOf(const ModelConfig& config);

}  // namespace shoal
