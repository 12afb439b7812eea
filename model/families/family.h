// A family of models: how its config.json is read, and its recipe. One file each; registry.cc lists them.
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

namespace shoal::model {

// A class of `transformers`: a family's layers with the heads that have the same parameters.
struct Architecture {
  const char* name = "";             // "architectures" of config.json
  absl::Span<const HeadType> heads;  // told apart by "problem_type"; the first when that says nothing
  // Declares the head's parameters, after those of `body`.
  HeadSpec (*make_head)(const ModelConfig& config, const Recipe& body, ParameterBuilder* builder) = nullptr;
  // Another class that has this head, with these names, among others, which are ignored; it is read as this
  // one.
  absl::string_view wider_class = {};
};

struct Family {
  // What selects it in a job; each combination selects at most one family.
  ModelFamily family = MODEL_FAMILY_BERT;
  NormPlacement norm = NORM_PLACEMENT_POST;
  // In `transformers`: "model_type" of config.json, and the prefix of names, which bare models lack.
  const char* model_type = "";
  const char* root = "";
  // Its classes; each head is in one of them. A config.json without a class is of the first one.
  absl::Span<const Architecture> architectures;

  bool causal = false;                    // a token sees only those before it, and padding is not needed
  int64_t token_types = 0;                // of a newly made model; 0: the family has none
  bool has_ngrams = false;                // its head classifies by n-grams, too
  bool positions_follow_padding = false;  // the table's rows up to pad_token_id are not used
  bool fixed_epsilon = false;  // the epsilon of its norms is the field's default and is not in config.json
  ConfigFields fields;

  // Sets what a newly made model has beside what its job says. Null: nothing.
  void (*set_defaults)(ModelConfig* config) = nullptr;

  // Reads the rest of config.json, after the fields: refuses values that are not supported. Null: nothing
  // to read.
  absl::Status (*read_rest)(const ParsedJson& json, ModelConfig* config) = nullptr;
  // Writes the rest of config.json, after the fields. Null: nothing to write.
  void (*write_rest)(const ModelConfig& config, Json* json) = nullptr;

  // Declares the parameters and describes the layers, all but the head; the config is already checked, and
  // the recipe's placement of norms is already set.
  void (*build)(const Family& family, const ModelConfig& config, ParameterBuilder* builder,
                Recipe* body) = nullptr;
};

// Each is defined in its own file.
extern const Family kBert, kDistilBert, kElectra, kGpt2, kRoberta, kRobertaPreLayerNorm, kEncoderNgrams;

// All families.
absl::Span<const Family* const> Families();

// Null when there is no such family.
const Family* FindFamily(ModelFamily family, NormPlacement norm);
const Family* FindFamily(absl::string_view model_type);

// The family's class with this head, or of this name. Null when it has none.
const Architecture* FindArchitecture(const Family& family, HeadType head);
const Architecture* FindArchitecture(const Family& family, absl::string_view name);

// ---- the head in config.json ----

// Reads the head and its labels: the class, "problem_type" where several heads share the class, the labels'
// fields. Errors: INVALID_ARGUMENT that names the field. A class that the family does not have is an error
// that lists those it has, unless the head is replaced.
absl::Status ReadHead(const Family& family, const ParsedJson& json, HeadUse use, ModelConfig* config);
// Writes the class of a checked config's head.
void WriteArchitecture(const Family& family, const ModelConfig& config, Json* json);
// Writes what ReadHead reads besides the class.
void WriteLabels(const ModelConfig& config, Json* json);

// ---- shared by the recipes of several families ----

// Number of unused rows at the start of the table of positions.
int64_t FirstPosition(const Family& family, const ModelConfig& config);

}  // namespace shoal::model
