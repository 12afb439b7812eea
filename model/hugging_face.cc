#include "model/hugging_face.h"

#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "common/safetensors.h"
#include "common/status.h"

namespace shoal {
namespace {

constexpr char kConfigName[] = "config.json";
constexpr char kWeightsName[] = "model.safetensors";

// The name without the architecture's prefix.
absl::string_view BareName(absl::string_view name) {
  for (absl::string_view prefix : {"bert.", "roberta_prelayernorm."}) {
    if (absl::ConsumePrefix(&name, prefix)) break;
  }
  return name;
}

// Old checkpoints call norms' vectors so.
std::string ModernName(absl::string_view name) {
  if (absl::ConsumeSuffix(&name, "LayerNorm.gamma")) return absl::StrCat(name, "LayerNorm.weight");
  if (absl::ConsumeSuffix(&name, "LayerNorm.beta")) return absl::StrCat(name, "LayerNorm.bias");
  return std::string(name);
}

std::string ShapeText(absl::Span<const uint64_t> shape) {
  return absl::StrCat("[", absl::StrJoin(shape, ","), "]");
}

bool InHead(const Parameters& parameters, const ParameterInfo& info) {
  return info.offset() >= parameters.size - parameters.group_sizes.back();
}

absl::Status CheckShape(const ParameterInfo& info, const SafetensorsEntry& entry, bool* fits) {
  const std::vector<uint64_t> wanted(info.shape().begin(), info.shape().end());
  *fits = wanted == entry.shape;
  if (*fits) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("tensor ", entry.name, " has the shape ",
                                                 ShapeText(entry.shape), ", expected ", ShapeText(wanted)));
}

// The head is used as a whole or not at all: half of it would be noise.
absl::Status SettleHead(const Parameters& parameters, LoadedWeights* loaded) {
  std::vector<std::string> missing;
  bool whole_head = true;
  for (size_t i = 0; i < parameters.infos.size(); ++i) {
    if (loaded->found[i]) continue;
    if (InHead(parameters, parameters.infos[i])) {
      whole_head = false;
    } else {
      missing.push_back(parameters.infos[i].name());
    }
  }
  if (!missing.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("these tensors are missing: ", absl::StrJoin(missing, ", ")));
  }
  if (whole_head) return absl::OkStatus();
  for (size_t i = 0; i < parameters.infos.size(); ++i) {
    if (InHead(parameters, parameters.infos[i])) loaded->found[i] = false;
  }
  const uint64_t head = parameters.group_sizes.back();
  std::fill(loaded->theta.end() - static_cast<int64_t>(head), loaded->theta.end(), 0.0f);
  return absl::OkStatus();
}

absl::StatusOr<LoadedWeights> Load(const SafetensorsReader& file, const Parameters& parameters) {
  absl::flat_hash_map<std::string, const SafetensorsEntry*> entries;
  for (const SafetensorsEntry& entry : file.entries()) {
    entries[std::string(BareName(ModernName(entry.name)))] = &entry;
  }
  LoadedWeights loaded;
  loaded.theta.resize(parameters.size);
  loaded.found.resize(parameters.infos.size());
  absl::flat_hash_set<const SafetensorsEntry*> used;
  for (size_t i = 0; i < parameters.infos.size(); ++i) {
    const ParameterInfo& info = parameters.infos[i];
    const auto found = entries.find(BareName(info.name()));
    if (found == entries.end()) continue;
    bool fits = false;
    const absl::Status shape = CheckShape(info, *found->second, &fits);
    if (!fits && InHead(parameters, info)) continue;  // of another task
    SHOAL_RETURN_IF_ERROR(shape);
    SHOAL_RETURN_IF_ERROR(file.ReadFloats(
        *found->second, 0, absl::MakeSpan(loaded.theta).subspan(info.offset(), found->second->elements())));
    loaded.found[i] = true;
    used.insert(found->second);
  }
  for (const SafetensorsEntry& entry : file.entries()) {
    if (!used.contains(&entry)) loaded.unused.push_back(entry.name);
  }
  SHOAL_RETURN_IF_ERROR(SettleHead(parameters, &loaded));
  return loaded;
}

}  // namespace

absl::StatusOr<ModelConfig> ReadModelConfig(Env* env, const std::string& folder) {
  const std::string path = JoinPath(folder, kConfigName);
  SHOAL_ASSIGN_OR_RETURN(const std::string json, env->ReadFile(path));
  absl::StatusOr<ModelConfig> config = ParseModelConfig(json);
  if (!config.ok()) return Annotate(config.status(), path);
  return config;
}

absl::StatusOr<LoadedWeights> ReadWeights(Env* env, const std::string& folder, const Parameters& parameters) {
  const std::string path = JoinPath(folder, kWeightsName);
  SHOAL_ASSIGN_OR_RETURN(const SafetensorsReader file, SafetensorsReader::Open(env, path));
  absl::StatusOr<LoadedWeights> loaded = Load(file, parameters);
  if (!loaded.ok()) return Annotate(loaded.status(), path);
  return loaded;
}

absl::Status WriteModel(Env* env, const std::string& folder, const ModelConfig& config,
                        absl::Span<const float> theta) {
  const Parameters parameters = MakeParameters(config);
  SHOAL_CHECK(theta.size() == parameters.size);
  SHOAL_RETURN_IF_ERROR(env->CreateDirs(folder));
  SHOAL_RETURN_IF_ERROR(env->WriteFileAtomic(JoinPath(folder, kConfigName), PrintModelConfig(config)));
  std::vector<SafetensorsEntry> entries;
  for (const ParameterInfo& info : parameters.infos) {
    entries.push_back({info.name(), SafetensorsType::kF32, {info.shape().begin(), info.shape().end()}, 0});
  }
  const std::string path = JoinPath(folder, kWeightsName), unfinished = path + ".tmp";
  SHOAL_ASSIGN_OR_RETURN(SafetensorsWriter writer,
                         SafetensorsWriter::Create(env, unfinished, std::move(entries), {{"format", "pt"}}));
  SHOAL_RETURN_IF_ERROR(writer.Append(theta));  // parameters lie without gaps, in this order
  SHOAL_RETURN_IF_ERROR(writer.Finish().status());
  SHOAL_RETURN_IF_ERROR(env->Rename(unfinished, path));
  return env->SyncDir(folder);
}

}  // namespace shoal
