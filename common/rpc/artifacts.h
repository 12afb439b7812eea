// Artifacts: files made from a job's data, named by their SHA-256, kept by the scheduler and cached by nodes.
#pragma once

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/storage/artifact_folder.h"
#include "common/storage/file.h"
#include "common/storage/progress.h"
#include "grpcpp/grpcpp.h"
#include "proto/scheduler.grpc.pb.h"

namespace shoal {

// Where a node gets artifacts from and brings them to. Blocks.
class ArtifactSource {
 public:
  virtual ~ArtifactSource() = default;
  // The path of a file with exactly the artifact's bytes.
  virtual absl::StatusOr<std::string> Fetch(const Artifact& artifact, const Progress& progress) = 0;
  // Keeps `bytes`, for this node and for others. Returns their description under `name`.
  virtual absl::StatusOr<Artifact> Put(const std::string& name, const std::string& bytes,
                                       const Progress& progress) = 0;
};

// A node's folder of artifacts, and the scheduler. Thread-safe.
class ArtifactStore : public ArtifactSource {
 public:
  struct Options {
    Env* env = nullptr;
    std::string folder;                      // may be shared with other processes
    std::shared_ptr<grpc::Channel> channel;  // to the scheduler
    // How long a call may take, with all attempts: the scheduler may be restarting.
    absl::Duration patience = absl::Minutes(10);
  };
  explicit ArtifactStore(Options options);

  // The file that is here is read and compared each time; one that is damaged is fetched again. Errors:
  // NOT_FOUND when the scheduler has none; DATA_LOSS when its copy is damaged; DEADLINE_EXCEEDED; what the
  // Env says.
  absl::StatusOr<std::string> Fetch(const Artifact& artifact, const Progress& progress = NoProgress) override;
  // Errors: INVALID_ARGUMENT for more than kMaxArtifactBytes; as Fetch.
  absl::StatusOr<Artifact> Put(const std::string& name, const std::string& bytes,
                               const Progress& progress = NoProgress) override;

 private:
  absl::Status FetchOnce(const Artifact& artifact, absl::Duration timeout, const Progress& progress);
  absl::Status PutOnce(const Artifact& artifact, const std::string& bytes, absl::Duration timeout,
                       const Progress& progress);

  const Options options_;
  ArtifactFolder folder_;
  const std::unique_ptr<SchedulerService::Stub> stub_;
};

}  // namespace shoal
