// A job's examples as numbers: the artifact "dataset" (docs/byte-formats.md).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "proto/job.pb.h"
#include "worker/data/split.h"

namespace shoal::worker {

// E: examples, N: their tokens, L: labels.
struct EncodedPart {
  std::vector<uint64_t> offsets = {0};  // [E+1]: example e is tokens [offsets[e], offsets[e+1])
  std::vector<int32_t> tokens;          // [N]
  std::vector<int32_t> classes;         // [E] of text-classification, else empty
  std::vector<float> targets;           // [E,L] of the other tasks, else empty

  uint64_t size() const { return offsets.size() - 1; }
  uint64_t length(uint64_t example) const { return offsets[example + 1] - offsets[example]; }
};

struct Dataset {
  TaskType task = TASK_TEXT_CLASSIFICATION;
  uint32_t labels = 0;
  EncodedPart part[kNumParts];

  const EncodedPart& operator[](Part p) const { return part[static_cast<int>(p)]; }
  // Tokens of the longest example.
  uint64_t longest() const;
};

// The same data gives the same bytes on any machine.
std::string SerializeDataset(const Dataset& dataset);

// Safe with any bytes. Errors: INVALID_ARGUMENT when they are no dataset, or its numbers don't fit together,
// or a token is not below `vocab_size`.
absl::StatusOr<Dataset> ParseDataset(absl::string_view bytes, uint64_t vocab_size);

}  // namespace shoal::worker
