// Artifacts in messages: chunks, of which the first names the digest and the size of the whole.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "common/storage/artifact_folder.h"
#include "proto/scheduler.pb.h"

namespace shoal {

// Makes the chunks of an artifact, in order. Not thread-safe.
class ArtifactChunks {
 public:
  explicit ArtifactChunks(const std::string& sha256) { chunk_.set_sha256(sha256); }

  // The next chunk, which is valid until the next call. `bytes`: of the whole artifact.
  const ArtifactChunk& Next(uint64_t bytes, absl::string_view piece);

 private:
  ArtifactChunk chunk_;
  bool first_ = true;
};

// Sets the next chunk that has arrived; false at the end.
using NextChunk = std::function<bool(ArtifactChunk* chunk)>;

// Stores an artifact that somebody sends. Errors: INVALID_ARGUMENT without a chunk; those of
// ArtifactFolder::Put.
absl::Status ReceiveArtifact(ArtifactFolder* folder, const NextChunk& next);

// Stores the artifact `wanted`, whatever digest and size the chunks name. Errors: those of
// ArtifactFolder::Put.
absl::Status ReceiveArtifact(ArtifactFolder* folder, const Artifact& wanted, const NextChunk& next);

}  // namespace shoal
