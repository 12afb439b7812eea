// Artifacts: files made from a job's data, named by their SHA-256, kept by the scheduler and cached by nodes.
#pragma once

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/file.h"
#include "grpcpp/grpcpp.h"
#include "proto/scheduler.grpc.pb.h"

namespace shoal {

// A node's folder of artifacts. A file is there only when it is whole, so a crash leaves nothing to mistrust.
// Thread-safe as long as two calls don't name the same artifact.
class ArtifactStore {
 public:
  // `channel` leads to the scheduler.
  ArtifactStore(Env* env, std::string folder, std::shared_ptr<grpc::Channel> channel);

  // The path of a file with the artifact's bytes: the one that is here, else fetched from the scheduler.
  // Tries again after a broken connection, until `deadline`. Errors: NOT_FOUND when the scheduler has none;
  // DATA_LOSS when what came has another digest; DEADLINE_EXCEEDED; what the Env says.
  absl::StatusOr<std::string> Fetch(const Artifact& artifact, absl::Time deadline);

  // Keeps `bytes` here and gives them to the scheduler, with the same patience. Returns their description
  // under `name`.
  absl::StatusOr<Artifact> Put(const std::string& name, const std::string& bytes, absl::Time deadline);

 private:
  std::string PathOf(const std::string& sha256) const { return JoinPath(folder_, sha256); }
  absl::Status FetchOnce(const Artifact& artifact, absl::Time deadline);
  absl::Status PutOnce(const Artifact& artifact, const std::string& bytes, absl::Time deadline);

  Env* const env_;
  const std::string folder_;
  const std::unique_ptr<SchedulerService::Stub> stub_;
};

}  // namespace shoal
