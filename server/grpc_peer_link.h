// PeerLink over gRPC.
#pragma once

#include <memory>
#include <set>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"
#include "grpcpp/grpcpp.h"
#include "server/peer_link.h"

namespace shoal::server {

// Keeps a channel to each address that it calls, up to kMaxChannels; then one goes for each new one.
class GrpcPeerLink : public PeerLink {
 public:
  // More servers than one job has; with restarts under other addresses there would be more and more.
  static constexpr size_t kMaxChannels = 256;

  GrpcPeerLink() = default;
  // Cancels the calls under way, and returns when each `done` has run.
  ~GrpcPeerLink() override;

  void GetNorms(const std::string& address, const NormsRequest& request, absl::Duration timeout,
                NormsDone done) override ABSL_LOCKS_EXCLUDED(mutex_);

  // For tests.
  size_t channels() const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  struct Call;

  void OnDone(Call* call, const grpc::Status& status) ABSL_LOCKS_EXCLUDED(mutex_);

  mutable absl::Mutex mutex_;
  absl::flat_hash_map<std::string, std::shared_ptr<grpc::Channel>> channels_ ABSL_GUARDED_BY(mutex_);
  std::set<Call*> calls_ ABSL_GUARDED_BY(mutex_);  // whose answers have not come
  size_t running_ ABSL_GUARDED_BY(mutex_) = 0;     // calls that use this object
};

}  // namespace shoal::server
