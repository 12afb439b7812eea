// Where a node gets artifacts from (common/rpc/artifacts.h is the one that ships).
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/storage/progress.h"
#include "proto/scheduler.pb.h"

namespace shoal {

// Calls block.
class ArtifactSource {
 public:
  virtual ~ArtifactSource() = default;
  // These are wanted now; to make room for them, others may be deleted.
  virtual void MakeRoom(const std::vector<Artifact>& /*wanted*/) {}
  // The path of a file with exactly the artifact's bytes.
  virtual absl::StatusOr<std::string> Fetch(const Artifact& artifact, const Progress& progress) = 0;
  // Stores `bytes`, for this node and for others. Returns their description under `name`.
  virtual absl::StatusOr<Artifact> Put(const std::string& name, const std::string& bytes,
                                       const Progress& progress) = 0;
};

}  // namespace shoal
