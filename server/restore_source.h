// Where a server reads a job's parameters from: checkpoints, the initial distributions, a weights file.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/file.h"
#include "server/shard_job.h"
#include "server/state_source.h"

namespace shoal::server {

// Thread-safe.
class RestoreSource : public StateSource {
 public:
  // The path of a local copy of an artifact.
  using FetchArtifact = std::function<absl::StatusOr<std::string>(const Artifact&)>;

  RestoreSource(Env* env, std::shared_ptr<const ShardJob> job, FetchArtifact fetch)
      : env_(env), job_(std::move(job)), fetch_(std::move(fetch)) {}

  absl::StatusOr<std::unique_ptr<StateReader>> Open(const RestorePoint& restore,
                                                    absl::Span<const BlockId> blocks) override;

 private:
  Env* const env_;
  const std::shared_ptr<const ShardJob> job_;
  const FetchArtifact fetch_;
};

}  // namespace shoal::server
