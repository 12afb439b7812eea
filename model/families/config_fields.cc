#include "model/families/config_fields.h"

#include <algorithm>
#include <iterator>
#include <type_traits>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/status.h"

namespace shoal::model {
namespace {

// Beyond any size or token (CheckModelConfig has the exact limits), and small enough for arithmetic.
constexpr int64_t kMaxNumber = int64_t{1} << 32;

bool IsInRange(const ParsedJson& integer) {
  if (integer.is_number_unsigned()) return integer.get<uint64_t>() <= kMaxNumber;
  return integer.get<int64_t>() >= -kMaxNumber;
}

template <typename T>
absl::Status ReadNumbers(const ParsedJson& json, absl::Span<const ConfigField<T>> fields,
                         ModelConfig* config) {
  constexpr bool integer = std::is_same_v<T, int64_t>;
  for (const ConfigField<T>& field : fields) {
    const ParsedJson* const value = FindField(json, field.name);
    if (value != nullptr && !(integer ? value->is_number_integer() : value->is_number()))
      return InvalidConfig(absl::StrCat("\"", field.name, "\" is not ", integer ? "an integer" : "a number"));
    if (integer && value != nullptr && !IsInRange(*value))
      return InvalidConfig(absl::StrCat("\"", field.name, "\" is ", value->dump(), ": out of range"));
    config->*field.member = value == nullptr ? field.missing : value->get<T>();
  }
  return absl::OkStatus();
}

template <typename T>
void WriteNumbers(const ModelConfig& config, absl::Span<const ConfigField<T>> fields, Json* json) {
  for (const ConfigField<T>& field : fields) {
    const T value = config.*field.member;
    (*json)[field.name] = value < 0 ? Json(nullptr) : Json(value);
  }
}

constexpr KnownActivation kActivations[] = {
    {ACTIVATION_TYPE_GELU, kernels::Activation::kGelu, "gelu", ""},
    {ACTIVATION_TYPE_GELU_TANH, kernels::Activation::kGeluTanh, "gelu_new", "gelu_pytorch_tanh"},
};

absl::Status ReadActivation(const ParsedJson& json, const char* name, const char* missing,
                            ModelConfig* config) {
  SHOAL_ASSIGN_OR_RETURN(const std::string activation, ReadString(json, name, missing));
  std::vector<absl::string_view> names;
  for (const KnownActivation& known : kActivations) {
    names.push_back(known.name);
    if (activation != known.name && (activation.empty() || activation != known.alias)) continue;
    config->activation = known.type;
    return absl::OkStatus();
  }
  return InvalidConfig(
      absl::StrCat(name, " \"", activation, "\" is not supported; expected ", absl::StrJoin(names, " or ")));
}

}  // namespace

absl::Status InvalidConfig(absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("model config: ", what));
}

const ParsedJson* FindField(const ParsedJson& json, const char* name) {
  const auto found = json.find(name);
  return found == json.end() || found->is_null() ? nullptr : &*found;
}

absl::StatusOr<std::string> ReadString(const ParsedJson& json, const char* name, const char* missing) {
  const ParsedJson* const value = FindField(json, name);
  if (value == nullptr) return std::string(missing);
  if (!value->is_string()) return InvalidConfig(absl::StrCat("\"", name, "\" is not a string"));
  return value->get<std::string>();
}

absl::Status ExpectBool(const ParsedJson& json, const char* name, bool missing, bool wanted) {
  const ParsedJson* const value = FindField(json, name);
  if (value != nullptr && !value->is_boolean())
    return InvalidConfig(absl::StrCat("\"", name, "\" is not a boolean"));
  if ((value == nullptr ? missing : value->get<bool>()) == wanted) return absl::OkStatus();
  return InvalidConfig(absl::StrCat("\"", name, "\": ", wanted ? "false" : "true", " is not supported"));
}

absl::Status ReadFields(const ParsedJson& json, const ConfigFields& fields, ModelConfig* config) {
  SHOAL_RETURN_IF_ERROR(ReadActivation(json, fields.activation, fields.missing_activation, config));
  SHOAL_RETURN_IF_ERROR(ReadNumbers(json, fields.integers, config));
  return ReadNumbers(json, fields.numbers, config);
}

void WriteFields(const ModelConfig& config, const ConfigFields& fields, Json* json) {
  WriteNumbers(config, fields.integers, json);
  WriteNumbers(config, fields.numbers, json);
  (*json)[fields.activation] = ActivationOf(config).name;
}

const KnownActivation& ActivationOf(const ModelConfig& config) {
  const auto* const found =
      std::find_if(std::begin(kActivations), std::end(kActivations),
                   [&](const KnownActivation& known) { return known.type == config.activation; });
  SHOAL_CHECK(found != std::end(kActivations));
  return *found;
}

}  // namespace shoal::model
