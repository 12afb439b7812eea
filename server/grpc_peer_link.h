// PeerLink over gRPC.
#pragma once

#include <memory>
#include <set>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "common/rpc/channel_pool.h"
#include "grpcpp/grpcpp.h"
#include "server/peer_link.h"

namespace shoal::server {

class GrpcPeerLink : public PeerLink {
 public:
  GrpcPeerLink() = default;
  // Cancels the calls under way, and returns when each `done` has run.
  ~GrpcPeerLink() override;

  void GetNorms(const std::string& address, const NormsRequest& request, absl::Duration timeout,
                NormsDone done) override ABSL_LOCKS_EXCLUDED(mutex_);
  const ChannelPool& channels() const { return channels_; }

 private:
  struct Call;

  void OnDone(Call* call, const grpc::Status& status) ABSL_LOCKS_EXCLUDED(mutex_);

  ChannelPool channels_;
  absl::Mutex mutex_;
  std::set<Call*> calls_ ABSL_GUARDED_BY(mutex_);  // whose answers have not come
  size_t running_ ABSL_GUARDED_BY(mutex_) = 0;     // calls that use this object
};

}  // namespace shoal::server
