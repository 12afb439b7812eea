#include "model/weight_tensors.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/base/utf8.h"
#include "nlohmann/json.hpp"

namespace shoal::model {
namespace {

constexpr char kIndexFile[] = "model.safetensors.index.json";
constexpr char kPickleFile[] = "pytorch_model.bin";
constexpr absl::string_view kLfsPointer = "version https://git-lfs.github.com/spec/";

absl::Status PickleError(const std::string& folder) {
  const std::string path = JoinPath(folder, kPickleFile);
  return absl::InvalidArgumentError(absl::StrCat(
      path, " is a pickle of Python's, which may run anything when it is read; expected ", kWeightsFile,
      ". This makes one of it: python3 -c \"import torch, safetensors.torch as s; w = torch.load('", path,
      "', map_location='cpu', weights_only=True); s.save_file({k: v.clone().contiguous() for k, v in "
      "w.items()}, '",
      JoinPath(folder, kWeightsFile), "')\""));
}

// The names of the files that an index lists, each once.
absl::StatusOr<std::set<std::string>> ParseIndex(const std::string& text) {
  const auto json = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  const auto map = json.is_object() ? json.find("weight_map") : json.end();
  if (!json.is_object() || map == json.end() || !map->is_object() || map->empty())
    return absl::InvalidArgumentError("expected an object \"weight_map\" of file names by tensor");
  std::set<std::string> names;
  for (const auto& [tensor, file] : map->items()) {
    if (!file.is_string()) return absl::InvalidArgumentError("a file in \"weight_map\" is not a string");
    const auto& name = file.get_ref<const std::string&>();
    if (name.empty() || absl::StrContains(name, '/') || name[0] == '.') {
      return absl::InvalidArgumentError(
          absl::StrCat("\"weight_map\" names the file '", ToQuoted(name), "'; expected one of this folder"));
    }
    names.insert(name);
  }
  return names;
}

absl::StatusOr<SafetensorsReader> OpenFile(Env* env, const std::string& path) {
  auto file = SafetensorsReader::Open(env, path);
  if (!absl::IsInvalidArgument(file.status())) return file;
  SHOAL_ASSIGN_OR_RETURN(const auto bytes, env->NewRandomAccessFile(path));
  std::string begin(std::min<uint64_t>(bytes->size(), kLfsPointer.size()), '\0');
  SHOAL_RETURN_IF_ERROR(bytes->Read(0, absl::MakeSpan(begin)));
  if (IsLfsPointer(begin)) return LfsPointerError(path);
  return file;
}

}  // namespace

bool IsLfsPointer(absl::string_view bytes) { return absl::StartsWith(bytes, kLfsPointer); }

absl::Status LfsPointerError(const std::string& path) {
  return absl::InvalidArgumentError(absl::StrCat(
      path, " is only a pointer of Git LFS, not the file itself: run `git lfs pull` in its folder"));
}

absl::StatusOr<std::vector<std::string>> WeightsFilesAt(Env* env, const std::string& folder) {
  const std::string whole = JoinPath(folder, kWeightsFile), index = JoinPath(folder, kIndexFile);
  if (!env->FileExists(whole) && env->FileExists(index)) {
    SHOAL_ASSIGN_OR_RETURN(const std::string text, env->ReadFile(index));
    if (IsLfsPointer(text)) return LfsPointerError(index);
    SHOAL_ASSIGN_OR_RETURN(const std::set<std::string> names, Annotate(ParseIndex(text), index));
    std::vector<std::string> paths = {index};
    for (const std::string& name : names) paths.push_back(JoinPath(folder, name));
    return paths;
  }
  if (!env->FileExists(whole) && env->FileExists(JoinPath(folder, kPickleFile))) return PickleError(folder);
  return std::vector<std::string>{whole};
}

absl::StatusOr<WeightTensors> WeightTensors::Open(Env* env, const std::string& folder) {
  SHOAL_ASSIGN_OR_RETURN(std::vector<std::string> paths, WeightsFilesAt(env, folder));
  if (paths.size() > 1) paths.erase(paths.begin());  // the index
  WeightTensors weights;
  for (const std::string& path : paths) {
    SHOAL_ASSIGN_OR_RETURN(SafetensorsReader file, OpenFile(env, path));
    weights.files_.push_back(std::move(file));
  }
  absl::flat_hash_set<absl::string_view> names;
  for (const SafetensorsReader& file : weights.files_) {
    for (const SafetensorsEntry& entry : file.entries()) {
      if (!names.insert(entry.name).second) {
        return absl::InvalidArgumentError(
            absl::StrCat(folder, ": two files have the tensor ", ToQuoted(entry.name)));
      }
      weights.tensors_.push_back({&file, &entry});
    }
  }
  return weights;
}

}  // namespace shoal::model
