// Examples as a model takes them: packed one behind the other, without padding.
#pragma once

#include <cstdint>

#include "absl/types/span.h"

namespace shoal {

// N: tokens of the batch, B: examples. Borrowed; host memory.
struct Batch {
  absl::Span<const int32_t> tokens;  // [N] ids
  absl::Span<const int32_t> types;   // [N] token types; empty: all 0
  absl::Span<const int32_t>
      offsets;  // [B+1] from 0, rising, the last is N: example b is tokens [offsets[b], offsets[b+1])
  absl::Span<const int32_t> classes;  // [B] labels of text-classification; else empty
  absl::Span<const float>
      targets;  // [B, labels] of text-regression and multilabel-classification; else empty

  int64_t token_count() const { return static_cast<int64_t>(tokens.size()); }
  int64_t example_count() const { return static_cast<int64_t>(offsets.size()) - 1; }
};

}  // namespace shoal
