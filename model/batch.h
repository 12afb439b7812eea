// Examples as a model takes them: packed one after another, without padding.
#pragma once

#include <cstdint>

#include "absl/types/span.h"

namespace shoal::model {

// N: tokens of the batch, B: examples. Borrowed; host memory.
struct Batch {
  absl::Span<const int32_t> tokens;  // [N] ids
  absl::Span<const int32_t> types;   // [N] token types; empty: all 0
  absl::Span<const int32_t>
      offsets;  // [B+1], increasing from 0 to N: example b is tokens [offsets[b], offsets[b+1])
  // [B]: how many of an example's tokens, from its first on, are attended to; empty: all. The others are
  // padding, as `transformers` has it, which tests compare with: Shoal's own batches have none.
  absl::Span<const int32_t> attended;
  // The targets that the model's head needs (HeadInfo.target); the other is empty; in prediction both are.
  absl::Span<const int32_t> classes;  // [B] with kClass; [N] where tokens have classes
  absl::Span<const float> targets;    // [B, labels]

  int64_t token_count() const { return static_cast<int64_t>(tokens.size()); }
  int64_t example_count() const { return static_cast<int64_t>(offsets.size()) - 1; }
};

// The largest batch that a model has memory for.
struct BatchLimits {
  int64_t tokens = 0;
  int64_t examples = 0;
};

// What one micro-batch draws its dropout masks from. The masks of a slot don't depend on how it is cut into
// micro-batches.
struct DropoutSeed {
  uint64_t key = 0;            // of the slot: DeriveKey(seed, "dropout", {round, slot})
  uint32_t first_token = 0;    // number of tokens in the slot before this micro-batch
  uint32_t first_example = 0;  // number of examples in the slot before it
};

}  // namespace shoal::model
