// Where a server reads a job's parameters from: checkpoints, the initial distributions, a weights file.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/storage/file.h"
#include "common/storage/progress.h"
#include "common/storage/progress_env.h"
#include "server/shard_config.h"
#include "server/state_source.h"

namespace shoal::server {

// Thread-safe.
class RestoreSource : public StateSource {
 public:
  // Returns the path of a local copy of an artifact.
  using FetchArtifact = std::function<absl::StatusOr<std::string>(const Artifact&, const Progress&)>;

  // `progress` is called for each piece that is fetched or read, on any thread.
  RestoreSource(Env* env, std::shared_ptr<const ShardConfig> job, FetchArtifact fetch, Progress progress)
      : env_(env, progress), job_(std::move(job)), fetch_(std::move(fetch)), progress_(std::move(progress)) {}

  absl::StatusOr<std::unique_ptr<StateReader>> Open(const RestorePoint& restore,
                                                    absl::Span<const BlockId> blocks) override;

 private:
  ProgressEnv env_;
  const std::shared_ptr<const ShardConfig> job_;
  const FetchArtifact fetch_;
  const Progress progress_;
};

}  // namespace shoal::server
