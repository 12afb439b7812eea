// Artifacts: files made from a job's data, named by their SHA-256, kept by the scheduler and cached by nodes.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/storage/artifact_folder.h"
#include "common/storage/artifact_source.h"
#include "common/storage/file.h"
#include "common/storage/progress.h"
#include "grpcpp/grpcpp.h"
#include "proto/scheduler.grpc.pb.h"

namespace shoal {

// A node's folder of artifacts, and the scheduler. Thread-safe.
class ArtifactStore : public ArtifactSource {
 public:
  static constexpr uint64_t kMaxCachedBytes = uint64_t{16} << 30;

  struct Options {
    Env* env = nullptr;
    std::string folder;                      // may be shared with other processes
    std::shared_ptr<grpc::Channel> channel;  // to the scheduler
    // How long a call may take, all attempts together: the scheduler may be restarting.
    absl::Duration patience = absl::Minutes(10);
    uint64_t max_bytes = kMaxCachedBytes;  // of artifacts in the folder, unless the wanted ones are larger
  };
  explicit ArtifactStore(Options options);

  // Deletes those that this process used longest ago, before them those that it never used: another process
  // that shares the folder fetches again what it misses.
  void MakeRoom(const std::vector<Artifact>& wanted) override;

  // The cached file is read and verified each time; a damaged one is fetched again. Errors: NOT_FOUND when
  // the scheduler does not have it; DATA_LOSS when the scheduler's copy is damaged; UNAVAILABLE or
  // DEADLINE_EXCEEDED when `patience` has passed; those of the Env.
  absl::StatusOr<std::string> Fetch(const Artifact& artifact, const Progress& progress = NoProgress) override;
  // Errors: INVALID_ARGUMENT for more than kMaxArtifactBytes; otherwise as Fetch.
  absl::StatusOr<Artifact> Put(const std::string& name, const std::string& bytes,
                               const Progress& progress = NoProgress) override;

 private:
  void NoteUse(const std::string& sha256);
  absl::Status FetchOnce(const Artifact& artifact, absl::Duration timeout, const Progress& progress);
  absl::Status PutOnce(const Artifact& artifact, const std::string& bytes, absl::Duration timeout,
                       const Progress& progress);

  const Options options_;
  ArtifactFolder folder_;
  const std::unique_ptr<SchedulerService::Stub> stub_;
  absl::Mutex mutex_;
  std::vector<std::string> used_ ABSL_GUARDED_BY(mutex_);  // digests, the last one used most recently
};

}  // namespace shoal
