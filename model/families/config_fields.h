// Fields of config.json as `transformers` writes it, read and written by tables.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "kernels/activation.h"
#include "model/model_config.h"
#include "nlohmann/json.hpp"

namespace shoal::model {

// What is written keeps its order. To find a key in it takes a time proportional to its size.
using Json = nlohmann::ordered_json;
// What was read may have hundreds of thousands of labels, and a key is found at once.
using ParsedJson = nlohmann::json;

// A field's name, and its value when it is left out.
template <typename T>
struct ConfigField {
  const char* name = "";
  T ModelConfig::*member = nullptr;
  T missing = {};
};

struct ConfigFields {
  absl::Span<const ConfigField<int64_t>> integers;
  absl::Span<const ConfigField<double>> numbers;
  const char* activation = "";          // the name of its field
  const char* missing_activation = "";  // its value when it is left out
};

// Errors, here and below: INVALID_ARGUMENT that names the field.
absl::Status ReadFields(const ParsedJson& json, const ConfigFields& fields, ModelConfig* config);
// A negative number means "none" and becomes null.
void WriteFields(const ModelConfig& config, const ConfigFields& fields, Json* json);

absl::StatusOr<std::string> ReadString(const ParsedJson& json, const char* name, const char* missing);
// Refuses a switch whose value is not the one we support.
absl::Status ExpectBool(const ParsedJson& json, const char* name, bool missing, bool wanted);
absl::Status InvalidConfig(absl::string_view what);

// How config.json and the kernels name an activation.
struct KnownActivation {
  ActivationType type = {};
  kernels::Activation op = {};
  const char* name = "";   // written
  const char* alias = "";  // read as well; "": none
};
// Of a checked config.
const KnownActivation& ActivationOf(const ModelConfig& config);

// Null when the field is left out.
const ParsedJson* FindField(const ParsedJson& json, const char* name);

}  // namespace shoal::model
