// A job's examples as numbers: the artifact "dataset" (docs/byte-formats.md).
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "proto/job.pb.h"
#include "tasks/data/split.h"
#include "tasks/encoded_part.h"

namespace shoal::tasks {

struct Dataset {
  TaskType task = {};
  uint32_t labels = 0;
  // Of a task that hides tokens (Masking); otherwise 0.
  uint32_t mask_token = 0;
  uint32_t vocab_size = 0;
  EncodedPart part[kNumParts];

  bool hides_tokens() const { return vocab_size > 0; }
  const EncodedPart& operator[](Part p) const { return part[static_cast<int>(p)]; }
  // The number of tokens of the longest example.
  uint64_t longest() const;
  // The largest token type.
  uint64_t largest_type() const;
};

// The same dataset gives the same bytes on any machine.
std::string SerializeDataset(const Dataset& dataset);

// The numbers of tokens and of their types that a model has.
struct TokenLimits {
  uint64_t vocab_size = 0;
  uint64_t token_types = 0;
};

// Safe for any bytes. Errors: INVALID_ARGUMENT when they are not a dataset, its numbers are inconsistent, or
// a token or its type is not below `limits`.
absl::StatusOr<Dataset> ParseDataset(absl::string_view bytes, const TokenLimits& limits);

}  // namespace shoal::tasks
