// The words of a job's train.freeze.
#pragma once

#include <cstdint>
#include <limits>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace shoal {

// Parameters that keep the values of the model that a job starts from. The head is never among them.
struct FrozenPart {
  enum class Kind {
    kEmbeddings,
    kLayers,   // first to last
    kWeights,  // of embeddings and layers all but the biases (BitFit: Ben Zaken et al., 2022)
  };
  static constexpr uint32_t kLastLayer = std::numeric_limits<uint32_t>::max();

  Kind kind = Kind::kEmbeddings;
  uint32_t first = 0;  // counted from 0
  uint32_t last = 0;   // kLastLayer: whichever that is
};

// "embeddings", "layers", "layers 0-3", "layer 5", "weights". Errors: INVALID_ARGUMENT that says what was
// expected.
absl::StatusOr<FrozenPart> ParseFrozenPart(absl::string_view text);

}  // namespace shoal
