#include "model/hugging_face.h"

#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "common/base/parameter_info.h"
#include "common/base/status.h"
#include "common/base/utf8.h"
#include "nlohmann/json.hpp"

namespace shoal::model {
namespace {

constexpr uint32_t kMinLength = 3;  // a token between two special ones, as for a job's max_length

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
    const absl::Span<const float> values = theta.subspan(info.offset(), ElementsOf(info));
    SHOAL_RETURN_IF_ERROR(info.transposed() ? writer->Append(Transpose(values, shape[1], shape[0]))
                                            : writer->Append(values));
  }
  return absl::OkStatus();
}

// What of the head a folder's bare model has too, as its names tell: BERT's pooler.
bool OfPretrainedHead(const Parameters& parameters, const ParameterInfo& info) {
  return parameters.OfHead(info) && absl::StartsWith(info.name(), parameters.root);
}

// The head is initialized, except for what was pretrained.
void DropHead(const Parameters& parameters, std::string why, LoadedWeights* loaded) {
  for (size_t i = 0; i < parameters.infos.size(); ++i) {
    const ParameterInfo& info = parameters.infos[i];
    if (!parameters.OfHead(info) || OfPretrainedHead(parameters, info)) continue;
    loaded->found[i] = false;
    const auto begin = loaded->theta.begin() + static_cast<int64_t>(info.offset());
    std::fill(begin, begin + static_cast<int64_t>(ElementsOf(info)), 0.0f);
  }
  loaded->head = std::move(why);
}

// Brings the first dimension of the parameter into another order: row i becomes what was row from[i].
void PermuteRows(const ParameterInfo& info, absl::Span<const size_t> from, LoadedWeights* loaded) {
  const auto columns = static_cast<int64_t>(info.shape_size() > 1 ? info.shape(1) : 1);
  auto out = loaded->theta.begin() + static_cast<int64_t>(info.offset());
  const std::vector<float> before(out, out + static_cast<int64_t>(from.size()) * columns);
  for (size_t row : from) {
    const auto begin = before.begin() + static_cast<int64_t>(row) * columns;
    out = std::copy(begin, begin + columns, out);
  }
}

// "a, b, c and 4 more"
std::string SomeOf(const std::vector<std::string>& names) {
  constexpr size_t kShown = 6;
  const absl::Span<const std::string> shown =
      absl::MakeConstSpan(names).first(std::min(names.size(), kShown));
  const auto quoted = [](std::string* out, const std::string& name) { out->append(ToQuoted(name)); };
  return absl::StrCat(absl::StrJoin(shown, ", ", quoted),
                      names.size() > kShown ? absl::StrCat(" and ", names.size() - kShown, " more") : "");
}

// The head is used as a whole or not at all, since half of it would be noise; but see DropHead.
absl::Status SettleHead(const Parameters& parameters, LoadedWeights* loaded) {
  std::vector<std::string> missing;
  bool whole_head = true;
  for (size_t i = 0; i < parameters.infos.size(); ++i) {
    if (loaded->found[i] || parameters.infos[i].added()) continue;
    if (parameters.OfHead(parameters.infos[i])) {
      whole_head = false;
    } else {
      missing.push_back(parameters.infos[i].name());
    }
  }
  if (!missing.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("these tensors are missing: ", absl::StrJoin(missing, ", ")));
  }
  if (!whole_head) DropHead(parameters, "the folder has none for this model", loaded);
  return absl::OkStatus();
}

absl::StatusOr<LoadedWeights> Load(const WeightTensors& weights, const Parameters& parameters) {
  absl::flat_hash_map<std::string, const WeightTensors::Tensor*> tensors;
  for (const WeightTensors::Tensor& tensor : weights.tensors()) {
    tensors[std::string(BareName(parameters, ModernName(tensor.entry->name)))] = &tensor;
  }
  LoadedWeights loaded;
  loaded.theta.resize(parameters.size);
  loaded.found.resize(parameters.infos.size());
  absl::flat_hash_set<const WeightTensors::Tensor*> used;
  for (size_t i = 0; i < parameters.infos.size(); ++i) {
    const ParameterInfo& info = parameters.infos[i];
    const auto found = tensors.find(BareName(parameters, info.name()));
    if (found == tensors.end()) continue;
    const auto& [file, entry] = *found->second;
    if (entry->shape != ShapeOf(info) && parameters.OfHead(info)) continue;  // of another head
    SHOAL_ASSIGN_OR_RETURN(const std::vector<float> values, ReadParameter(*file, *entry, info));
    std::copy(values.begin(), values.end(), loaded.theta.begin() + static_cast<int64_t>(info.offset()));
    loaded.found[i] = true;
    used.insert(found->second);
  }
  for (const WeightTensors::Tensor& tensor : weights.tensors()) {
    if (!used.contains(&tensor)) loaded.unused.push_back(tensor.entry->name);
  }
  SHOAL_RETURN_IF_ERROR(SettleHead(parameters, &loaded));
  return loaded;
}

}  // namespace

absl::StatusOr<ModelConfig> ReadModelConfig(Env* env, const std::string& folder, HeadUse use) {
  const std::string path = JoinPath(folder, kConfigFile);
  SHOAL_ASSIGN_OR_RETURN(const std::string json, env->ReadFile(path));
  if (IsLfsPointer(json)) return LfsPointerError(path);
  absl::StatusOr<ModelConfig> config = ParseModelConfig(json, use);
  if (!config.ok()) return Annotate(config.status(), path);
  return config;
}

absl::StatusOr<uint32_t> ReadMaxLength(Env* env, const std::string& folder, const ModelConfig& config) {
  const auto positions = static_cast<uint32_t>(config.max_position_embeddings);
  if (positions < kMinLength) {
    return absl::InvalidArgumentError(absl::StrCat(JoinPath(folder, kConfigFile), ": ", positions,
                                                   " positions; expected at least ", kMinLength));
  }
  const std::string path = JoinPath(folder, kTokenizerConfigFile);
  if (!env->FileExists(path)) return positions;
  SHOAL_ASSIGN_OR_RETURN(const std::string text, env->ReadFile(path));
  const auto json = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return absl::InvalidArgumentError(absl::StrCat(path, ": not a JSON object"));
  const auto length = json.find("model_max_length");
  if (length == json.end() || length->is_null()) return positions;
  // Tokenizers without a limit have 1e30 here.
  if (!length->is_number() || !(length->get<double>() >= kMinLength)) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": \"model_max_length\": expected a number of at least ", kMinLength));
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
  SHOAL_ASSIGN_OR_RETURN(const WeightTensors weights, WeightTensors::Open(env, folder));
  absl::StatusOr<LoadedWeights> loaded = Load(weights, parameters);
  if (!loaded.ok()) return Annotate(loaded.status(), folder);
  return loaded;
}

void MatchHead(const ModelConfig* of, const ModelConfig& config, const Parameters& parameters,
               LoadedWeights* loaded) {
  const bool has_head = !parameters.infos.empty() && parameters.OfHead(parameters.infos.back());
  if (!has_head || !loaded->head.empty()) return;
  if (of == nullptr || of->head != config.head)
    return DropHead(parameters, "the folder's model predicts something else", loaded);
  if (config.labels.size() <= 1 || of->labels == config.labels) return;
  absl::flat_hash_map<absl::string_view, size_t> places;
  for (size_t i = 0; i < of->labels.size(); ++i) places.emplace(of->labels[i], i);
  std::vector<size_t> rows;
  for (const std::string& label : config.labels) {
    const auto place = places.find(label);
    if (place != places.end()) rows.push_back(place->second);
  }
  if (places.size() != of->labels.size() || rows.size() != config.labels.size() ||
      of->labels.size() != config.labels.size())
    return DropHead(parameters, "the folder's model has other labels", loaded);
  // The last layer of every head: its weight and its bias.
  for (size_t i = parameters.infos.size() - 2; i < parameters.infos.size(); ++i) {
    SHOAL_CHECK(parameters.infos[i].shape(0) == rows.size() && !parameters.infos[i].transposed());
    PermuteRows(parameters.infos[i], rows, loaded);
  }
}

std::vector<std::string> DescribeWeights(const std::string& folder, const Parameters& parameters,
                                         const LoadedWeights& loaded) {
  std::vector<std::string> fresh;
  size_t own = 0;  // parameters of the model, without what is added to it
  for (size_t i = 0; i < parameters.infos.size(); ++i) {
    if (parameters.infos[i].added()) continue;
    ++own;
    if (!loaded.found[i]) fresh.push_back(parameters.infos[i].name());
  }
  std::vector<std::string> lines = {
      absl::StrCat("from ", folder, ": ", own - fresh.size(), " of ", own, " tensors of the model")};
  if (!fresh.empty()) {
    lines.push_back(absl::StrCat("new: the head, as ", loaded.head, " (", SomeOf(fresh), ")"));
  }
  if (!loaded.unused.empty()) {
    lines.push_back(absl::StrCat("ignored, as the model has no such tensors: ", SomeOf(loaded.unused)));
  }
  return lines;
}

absl::Status WriteModel(Env* env, const std::string& folder, const ModelConfig& config,
                        absl::Span<const float> theta) {
  const Parameters parameters = MakeParameters(config);
  SHOAL_CHECK(theta.size() == parameters.size);
  SHOAL_RETURN_IF_ERROR(env->CreateDirs(folder));
  SHOAL_RETURN_IF_ERROR(env->WriteFileAtomic(JoinPath(folder, kConfigFile), PrintModelConfig(config)));
  if (config.causal()) {
    const nlohmann::ordered_json generation = {{"bos_token_id", config.bos_token_id},
                                               {"eos_token_id", config.eos_token_id}};
    SHOAL_RETURN_IF_ERROR(
        env->WriteFileAtomic(JoinPath(folder, kGenerationConfigFile), generation.dump(2) + "\n"));
  }
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
