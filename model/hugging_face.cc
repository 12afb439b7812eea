#include "model/hugging_face.h"

#include <algorithm>
#include <functional>
#include <numeric>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "common/base/status.h"
#include "nlohmann/json.hpp"

namespace shoal::model {
namespace {

constexpr uint32_t kLeastLength = 3;  // a token between two special ones, as for a job's max_length

absl::string_view BareName(const Parameters& parameters, absl::string_view name) {
  return absl::StripPrefix(name, parameters.root);
}

// Old checkpoints use these names for the vectors of norms.
std::string ModernName(absl::string_view name) {
  if (absl::ConsumeSuffix(&name, "LayerNorm.gamma")) return absl::StrCat(name, "LayerNorm.weight");
  if (absl::ConsumeSuffix(&name, "LayerNorm.beta")) return absl::StrCat(name, "LayerNorm.bias");
  return std::string(name);
}

std::string ShapeText(absl::Span<const uint64_t> shape) {
  return absl::StrCat("[", absl::StrJoin(shape, ","), "]");
}

bool OfHead(const Parameters& parameters, const ParameterInfo& info) {
  return info.offset() >= parameters.head_begin;
}

// The shape in a file.
std::vector<uint64_t> ShapeOf(const ParameterInfo& info) {
  std::vector<uint64_t> shape(info.shape().begin(), info.shape().end());
  if (info.transposed()) std::swap(shape[0], shape[1]);
  return shape;
}

// [rows, columns] to [columns, rows].
std::vector<float> Transpose(absl::Span<const float> matrix, uint64_t rows, uint64_t columns) {
  std::vector<float> transpose(matrix.size());
  for (uint64_t row = 0; row < rows; ++row) {
    for (uint64_t column = 0; column < columns; ++column)
      transpose[column * rows + row] = matrix[row * columns + column];
  }
  return transpose;
}

// Appends all of θ, each parameter in the layout of the files.
absl::Status AppendParameters(const Parameters& parameters, absl::Span<const float> theta,
                              SafetensorsWriter* writer) {
  for (const ParameterInfo& info : parameters.infos) {
    const std::vector<uint64_t> shape = ShapeOf(info);
    const uint64_t size =
        std::accumulate(shape.begin(), shape.end(), uint64_t{1}, std::multiplies<uint64_t>());
    const absl::Span<const float> values = theta.subspan(info.offset(), size);
    SHOAL_RETURN_IF_ERROR(info.transposed() ? writer->Append(Transpose(values, shape[1], shape[0]))
                                            : writer->Append(values));
  }
  return absl::OkStatus();
}

// The head is used as a whole or not at all: half of it would be noise.
absl::Status SettleHead(const Parameters& parameters, LoadedWeights* loaded) {
  std::vector<std::string> missing;
  bool whole_head = true;
  for (size_t i = 0; i < parameters.infos.size(); ++i) {
    if (loaded->found[i]) continue;
    if (OfHead(parameters, parameters.infos[i])) {
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
    if (OfHead(parameters, parameters.infos[i])) loaded->found[i] = false;
  }
  std::fill(loaded->theta.begin() + static_cast<int64_t>(parameters.head_begin), loaded->theta.end(), 0.0f);
  return absl::OkStatus();
}

absl::StatusOr<LoadedWeights> Load(const SafetensorsReader& file, const Parameters& parameters) {
  absl::flat_hash_map<std::string, const SafetensorsEntry*> entries;
  for (const SafetensorsEntry& entry : file.entries()) {
    entries[std::string(BareName(parameters, ModernName(entry.name)))] = &entry;
  }
  LoadedWeights loaded;
  loaded.theta.resize(parameters.size);
  loaded.found.resize(parameters.infos.size());
  absl::flat_hash_set<const SafetensorsEntry*> used;
  for (size_t i = 0; i < parameters.infos.size(); ++i) {
    const ParameterInfo& info = parameters.infos[i];
    const auto found = entries.find(BareName(parameters, info.name()));
    if (found == entries.end()) continue;
    if (found->second->shape != ShapeOf(info) && OfHead(parameters, info)) continue;  // of another head
    SHOAL_ASSIGN_OR_RETURN(const std::vector<float> values, ReadParameter(file, *found->second, info));
    std::copy(values.begin(), values.end(), loaded.theta.begin() + static_cast<int64_t>(info.offset()));
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

absl::StatusOr<ModelConfig> ReadModelConfig(Env* env, const std::string& folder, HeadUse use) {
  const std::string path = JoinPath(folder, kConfigFile);
  SHOAL_ASSIGN_OR_RETURN(const std::string json, env->ReadFile(path));
  absl::StatusOr<ModelConfig> config = ParseModelConfig(json, use);
  if (!config.ok()) return Annotate(config.status(), path);
  return config;
}

absl::StatusOr<uint32_t> ReadMaxLength(Env* env, const std::string& folder, const ModelConfig& config) {
  const auto positions = static_cast<uint32_t>(config.max_position_embeddings);
  if (positions < kLeastLength) {
    return absl::InvalidArgumentError(absl::StrCat(JoinPath(folder, kConfigFile), ": ", positions,
                                                   " positions; expected at least ", kLeastLength));
  }
  const std::string path = JoinPath(folder, kTokenizerConfigFile);
  if (!env->FileExists(path)) return positions;
  SHOAL_ASSIGN_OR_RETURN(const std::string text, env->ReadFile(path));
  const auto json = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return absl::InvalidArgumentError(absl::StrCat(path, ": not a JSON object"));
  const auto length = json.find("model_max_length");
  if (length == json.end() || length->is_null()) return positions;
  // Tokenizers without a limit have 1e30 here.
  if (!length->is_number() || !(length->get<double>() >= kLeastLength)) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": \"model_max_length\": expected a number of at least ", kLeastLength));
  }
  return static_cast<uint32_t>(std::min<double>(length->get<double>(), positions));
}

absl::StatusOr<std::vector<float>> ReadParameter(const SafetensorsReader& file, const SafetensorsEntry& entry,
                                                 const ParameterInfo& info) {
  const std::vector<uint64_t> shape = ShapeOf(info);
  if (entry.shape != shape) {
    return absl::InvalidArgumentError(absl::StrCat("tensor ", entry.name, " has the shape ",
                                                   ShapeText(entry.shape), ", expected ", ShapeText(shape)));
  }
  std::vector<float> values(entry.elements());
  SHOAL_RETURN_IF_ERROR(file.ReadFloats(entry, 0, absl::MakeSpan(values)));
  return info.transposed() ? Transpose(values, shape[0], shape[1]) : std::move(values);
}

absl::StatusOr<LoadedWeights> ReadWeights(Env* env, const std::string& folder, const Parameters& parameters) {
  const std::string path = JoinPath(folder, kWeightsFile);
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
  SHOAL_RETURN_IF_ERROR(env->WriteFileAtomic(JoinPath(folder, kConfigFile), PrintModelConfig(config)));
  std::vector<SafetensorsEntry> entries;
  for (const ParameterInfo& info : parameters.infos) {
    entries.push_back({info.name(), SafetensorsType::kF32, ShapeOf(info), 0});
  }
  const std::string path = JoinPath(folder, kWeightsFile), unfinished = path + ".tmp";
  SHOAL_ASSIGN_OR_RETURN(SafetensorsWriter writer,
                         SafetensorsWriter::Create(env, unfinished, std::move(entries), {{"format", "pt"}}));
  SHOAL_RETURN_IF_ERROR(AppendParameters(parameters, theta, &writer));
  SHOAL_RETURN_IF_ERROR(writer.Finish().status());
  SHOAL_RETURN_IF_ERROR(env->Rename(unfinished, path));
  return env->SyncDir(folder);
}

}  // namespace shoal::model
