// The header of a safetensors file as text. Pure functions, used by reader and writer
// (common/storage/safetensors.h).
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/storage/safetensors.h"

namespace shoal {

// The format's own limit.
inline constexpr uint64_t kMaxSafetensorsHeaderBytes = 100 * 1000 * 1000;

struct SafetensorsHeader {
  std::vector<SafetensorsEntry> entries;  // in order of offset, which counts from the end of the header
  SafetensorsMetadata metadata;
};

// `data_bytes`: what follows the header in the file; tensors must fill exactly that.
// Errors: INVALID_ARGUMENT that names the tensor and what is wrong with it.
absl::StatusOr<SafetensorsHeader> ParseSafetensorsHeader(absl::string_view json, uint64_t data_bytes);

// The whole start of the file, the eight bytes of length included, padded with blanks so that tensors start
// at a multiple of 8. Offsets of `header` are not used: tensors lie one behind the other. Errors:
// INVALID_ARGUMENT for a name that is empty, reserved, no UTF-8 or given twice, or a header too long.
absl::StatusOr<std::string> FormatSafetensorsHeader(const SafetensorsHeader& header);

}  // namespace shoal
