// The --precision of benchmarks.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "kernels/tensor.h"

namespace shoal {

// Type of activations. Errors: INVALID_ARGUMENT that lists the names.
inline absl::StatusOr<DType> ParsePrecision(const std::string& name) {
  if (name == "f32") return DType::kF32;
  if (name == "bf16") return DType::kBf16;
  return absl::InvalidArgumentError(absl::StrCat("--precision ", name, ": expected f32 or bf16"));
}

}  // namespace shoal
