// The tensors of a model folder in Hugging Face's format, in whichever files it has them.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/storage/file.h"
#include "common/storage/safetensors.h"

namespace shoal::model {

inline constexpr char kWeightsFile[] = "model.safetensors";

// The paths of the files that hold, or list, the folder's weights: model.safetensors, or else
// model.safetensors.index.json and the files that it names. Errors: NOT_FOUND when there is neither;
// INVALID_ARGUMENT, with the command that converts it, for a folder with a pytorch_model.bin only, which is
// a program rather than data; for an index that is not one or names files elsewhere.
absl::StatusOr<std::vector<std::string>> WeightsFilesAt(Env* env, const std::string& folder);

// Thread-safe; movable.
class WeightTensors {
 public:
  struct Tensor {
    const SafetensorsReader* file = nullptr;
    const SafetensorsEntry* entry = nullptr;
  };

  // Errors: those of WeightsFilesAt and SafetensorsReader::Open; INVALID_ARGUMENT when two files have a
  // tensor of the same name, and for a file that is only a pointer of Git LFS.
  static absl::StatusOr<WeightTensors> Open(Env* env, const std::string& folder);

  // In the order of the files. Valid as long as this.
  const std::vector<Tensor>& tensors() const { return tensors_; }

 private:
  std::vector<SafetensorsReader> files_;
  std::vector<Tensor> tensors_;
};

// Whether the bytes, the beginning of a file, are those of a pointer that Git LFS puts in a file's place, and
// an error that says so.
bool IsLfsPointer(absl::string_view bytes);
absl::Status LfsPointerError(const std::string& path);

}  // namespace shoal::model
