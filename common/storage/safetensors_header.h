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

// `data_bytes`: the size of what follows the header in the file; tensors must fill exactly that.
// Errors: INVALID_ARGUMENT that names the tensor and what is wrong with it.
absl::StatusOr<SafetensorsHeader> ParseSafetensorsHeader(absl::string_view json, uint64_t data_bytes);

// The start of the file up to the tensors, including the eight bytes of length, padded with blanks so that
// tensors start at a multiple of 8. Offsets in `header` are ignored: tensors are contiguous. Errors:
// INVALID_ARGUMENT for a name that is empty, reserved, not UTF-8 or a duplicate, or a header that is too
// long.
absl::StatusOr<std::string> FormatSafetensorsHeader(const SafetensorsHeader& header);

}  // namespace shoal
