#include "common/rpc/artifact_chunks.h"

#include <utility>

namespace shoal {

const ArtifactChunk& ArtifactChunks::Next(uint64_t bytes, absl::string_view piece) {
  if (!std::exchange(first_, false)) {
    chunk_.clear_sha256();
    chunk_.clear_bytes();
  } else {
    chunk_.set_bytes(bytes);
  }
  chunk_.set_data(piece.data(), piece.size());
  return chunk_;
}

absl::Status ReceiveArtifact(ArtifactFolder* folder, const NextChunk& next) {
  ArtifactChunk chunk;
  if (!next(&chunk)) return absl::InvalidArgumentError("expected at least one chunk of the artifact");
  const std::string sha256 = chunk.sha256();
  bool first = true;
  return folder->Put(sha256, chunk.bytes(), [&](std::string* piece) {
    if (!std::exchange(first, false) && !next(&chunk)) return false;
    *piece = std::move(*chunk.mutable_data());
    return true;
  });
}

absl::Status ReceiveArtifact(ArtifactFolder* folder, const Artifact& wanted, const NextChunk& next) {
  ArtifactChunk chunk;
  return folder->Put(wanted.sha256(), wanted.bytes(), [&](std::string* piece) {
    if (!next(&chunk)) return false;
    *piece = std::move(*chunk.mutable_data());
    return true;
  });
}

}  // namespace shoal
