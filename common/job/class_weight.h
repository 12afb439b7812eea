// The words of a job's loss.class_weights.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace shoal {

// Alone: weights in inverse proportion to how often the labels occur.
inline constexpr char kBalancedWeights[] = "balanced";

struct ClassWeight {
  std::string label;
  double weight = 1;
};

// "LABEL=WEIGHT"; the label may have "=" in it. Errors: INVALID_ARGUMENT that says what was expected.
absl::StatusOr<ClassWeight> ParseClassWeight(absl::string_view text);

}  // namespace shoal
