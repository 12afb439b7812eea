#include "model/lora.h"

#include <algorithm>
#include <set>
#include <utility>
#include <variant>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/base/parameter_info.h"
#include "common/base/status.h"
#include "common/base/utf8.h"
#include "common/storage/safetensors.h"
#include "model/heads.h"
#include "model/recipe.h"
#include "nlohmann/json.hpp"

namespace shoal::model {
namespace {

// What precedes each tensor's name in PEFT's file.
constexpr char kAdapterPrefix[] = "base_model.model.";

bool IsNumber(absl::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), absl::ascii_isdigit);
}

// A map's name after the number of its layer: "attention.self.query".
std::string NameInLayer(absl::string_view name) {
  const std::vector<absl::string_view> parts = absl::StrSplit(name, '.');
  size_t begin = 0;
  for (size_t i = 0; i < parts.size(); ++i) {
    if (IsNumber(parts[i])) begin = i + 1;
  }
  return absl::StrJoin(parts.begin() + static_cast<int64_t>(begin), parts.end(), ".");
}

// The maps that can have additions: those of the layers.
std::set<std::string> MapsOf(const Parameters& parameters) {
  std::set<std::string> maps;
  for (const ParameterInfo& info : parameters.infos) {
    absl::string_view name = info.name();
    const bool in_layer = parameters.GroupOf(info.offset()) > 0 && !parameters.OfHead(info);
    if (in_layer && info.shape_size() == 2 && !info.added() && absl::ConsumeSuffix(&name, ".weight"))
      maps.insert(NameInLayer(name));
  }
  return maps;
}

bool HasTarget(const Parameters& parameters, const std::string& target) {
  const auto is_of_target = [&](const ParameterInfo& info) {
    return absl::EndsWith(absl::StrCat(".", info.name()), absl::StrCat(".", target, ".lora_A.weight"));
  };
  return std::any_of(parameters.infos.begin(), parameters.infos.end(), is_of_target);
}

// The linear maps of each kind of layer.
std::vector<LinearSpec> LinearsOf(const AttentionSpec& attention) { return {attention.qkv, attention.out}; }
std::vector<LinearSpec> LinearsOf(const MlpSpec& mlp) { return {mlp.up, mlp.out}; }

// Adds scale * B A to the rows of W, in θ.
void AddProduct(const MatrixParameter& weight, const LowRankSpec& addition, std::vector<float>* theta) {
  std::vector<double> row(weight.columns);
  for (int64_t i = 0; i < addition.b.rows; ++i) {
    std::fill(row.begin(), row.end(), 0);
    for (int64_t r = 0; r < addition.a.rows; ++r) {
      const double b = (*theta)[addition.b.offset + i * addition.b.columns + r];
      for (int64_t c = 0; c < weight.columns; ++c)
        row[c] += b * (*theta)[addition.a.offset + r * weight.columns + c];
    }
    float* const w = &(*theta)[weight.offset + (addition.first_row + i) * weight.columns];
    for (int64_t c = 0; c < weight.columns; ++c) w[c] = static_cast<float>(w[c] + addition.scale * row[c]);
  }
}

// What `name` is in: "classifier" of "classifier.weight".
std::string ModuleOf(const std::string& name) { return name.substr(0, name.rfind('.')); }

// The outermost module that is the head's alone: PEFT takes no module inside of another that it saves.
std::string OuterModule(const Parameters& parameters, absl::string_view name) {
  const size_t begin = absl::StartsWith(name, parameters.root) ? parameters.root.size() : 0;
  return std::string(name.substr(0, name.find('.', begin)));
}

// The maps that have additions, and the modules that are trained as a whole.
struct Modules {
  std::vector<std::string> targets, saved;
};

Modules ModulesOf(const Parameters& parameters) {
  Modules modules;
  const auto add = [](const std::string& module, std::vector<std::string>* to) {
    if (std::find(to->begin(), to->end(), module) == to->end()) to->push_back(module);
  };
  for (const ParameterInfo& info : parameters.infos) {
    if (info.added()) {
      add(ModuleOf(ModuleOf(info.name())), &modules.targets);
    } else if (parameters.OfHead(info)) {
      add(OuterModule(parameters, info.name()), &modules.saved);
    }
  }
  return modules;
}

std::string AdapterConfig(const ModelConfig& config, const Parameters& parameters, const std::string& base) {
  using Json = nlohmann::ordered_json;
  const Modules modules = ModulesOf(parameters);
  const std::string task = HeadOf(config.head).peft_task;
  const bool transposed = std::any_of(parameters.infos.begin(), parameters.infos.end(),
                                      [](const ParameterInfo& info) { return info.transposed(); });
  const Json json = {{"peft_type", "LORA"},
                     {"task_type", task.empty() ? Json(nullptr) : Json(task)},
                     {"base_model_name_or_path", base},
                     {"r", config.lora.rank},
                     {"lora_alpha", config.lora.alpha},
                     {"lora_dropout", config.lora.dropout},
                     {"target_modules", modules.targets},
                     {"modules_to_save", modules.saved.empty() ? Json(nullptr) : Json(modules.saved)},
                     {"bias", "none"},
                     {"fan_in_fan_out", transposed},
                     {"inference_mode", true},
                     {"init_lora_weights", true}};
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace

LoraConfig LoraOf(const LoraSpec& spec) {
  return {spec.rank(), spec.alpha(), spec.dropout(), {spec.targets().begin(), spec.targets().end()}};
}

absl::Status CheckLoraTargets(const ModelConfig& config) {
  const Parameters parameters = MakeParameters(config);
  for (const std::string& target : config.lora.targets) {
    if (HasTarget(parameters, target)) continue;
    return absl::InvalidArgumentError(absl::StrCat("lora.targets: the model's layers have no linear map '",
                                                   ToQuoted(target), "'; they have ",
                                                   absl::StrJoin(MapsOf(parameters), ", ")));
  }
  return absl::OkStatus();
}

ModelConfig WithoutLora(const ModelConfig& config) {
  ModelConfig without = config;
  without.lora = LoraConfig();
  return without;
}

std::vector<float> MergeLora(const ModelConfig& config, absl::Span<const float> theta) {
  const Recipe recipe = MakeRecipe(config);
  SHOAL_CHECK(theta.size() == recipe.parameters.size);
  std::vector<float> merged(theta.begin(), theta.end());
  for (const SublayerSpec& sublayer : recipe.stack.sublayers) {
    const auto linears = std::visit([](const auto& branch) { return LinearsOf(branch); }, sublayer.branch);
    for (const LinearSpec& linear : linears) {
      for (const LowRankSpec& addition : linear.low_rank) AddProduct(linear.weight, addition, &merged);
    }
  }
  std::vector<float> kept;
  for (const ParameterInfo& info : recipe.parameters.infos) {
    if (info.added()) continue;
    const auto begin = merged.begin() + static_cast<int64_t>(info.offset());
    kept.insert(kept.end(), begin, begin + static_cast<int64_t>(ElementsOf(info)));
  }
  return kept;
}

absl::Status WriteAdapter(Env* env, const std::string& folder, const ModelConfig& config,
                          absl::Span<const float> theta, const std::string& base) {
  const Parameters parameters = MakeParameters(config);
  SHOAL_CHECK(config.lora.rank > 0 && theta.size() == parameters.size);
  if (config.head == HEAD_TYPE_MASKED_TOKEN)
    return absl::UnimplementedError(
        "can't write an adapter of a model that predicts hidden tokens: PEFT would have to save its output "
        "layer, which is the embedding table");
  SHOAL_RETURN_IF_ERROR(env->CreateDirs(folder));
  SHOAL_RETURN_IF_ERROR(
      env->WriteFileAtomic(JoinPath(folder, kAdapterConfigFile), AdapterConfig(config, parameters, base)));
  std::vector<SafetensorsEntry> entries;
  std::vector<absl::Span<const float>> values;
  for (const ParameterInfo& info : parameters.infos) {
    if (!info.added() && !parameters.OfHead(info)) continue;
    entries.push_back({absl::StrCat(kAdapterPrefix, info.name()),
                       SafetensorsType::kF32,
                       {info.shape().begin(), info.shape().end()},
                       0});
    values.push_back(theta.subspan(info.offset(), ElementsOf(info)));
  }
  const std::string path = JoinPath(folder, kAdapterWeightsFile), unfinished = path + ".tmp";
  SHOAL_ASSIGN_OR_RETURN(SafetensorsWriter writer,
                         SafetensorsWriter::Create(env, unfinished, std::move(entries), {{"format", "pt"}}));
  for (absl::Span<const float> tensor : values) SHOAL_RETURN_IF_ERROR(writer.Append(tensor));
  SHOAL_RETURN_IF_ERROR(writer.Finish().status());
  SHOAL_RETURN_IF_ERROR(env->Rename(unfinished, path));
  return env->SyncDir(folder);
}

}  // namespace shoal::model
