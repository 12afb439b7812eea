// manifest.json of a checkpoint as text (docs/byte-formats.md). Pure functions; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "proto/checkpoint.pb.h"

namespace shoal {

// The format that is written. Format 1 is still read, but less of it can be verified: it has no digests of
// itself, of history.json and of the plan, no checksums of blocks, and no texts of job and plan.
inline constexpr uint32_t kCheckpointFormat = 2;

// "shard-3-of-8.safetensors"
std::string ShardFileName(uint32_t shard, uint32_t shards);

// The text, with `format` and `self_sha256` set.
std::string FormatManifest(CheckpointManifest manifest);

// Errors: DATA_LOSS when the text is damaged: not JSON, not matching self_sha256, or with numbers and names
// that contradict each other; UNIMPLEMENTED when it is intact but has a newer format.
absl::StatusOr<CheckpointManifest> ParseManifest(absl::string_view text);

// OK when both describe the same bits of the same training, possibly cut into different numbers of shards.
// Errors: FAILED_PRECONDITION that says how they differ.
absl::Status CheckSameCheckpoint(const CheckpointManifest& there, const CheckpointManifest& wanted);

}  // namespace shoal
