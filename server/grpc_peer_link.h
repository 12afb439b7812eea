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
  // Cancels the calls in progress, and returns when every `done` has run.
  ~GrpcPeerLink() override;

  void GetNorms(const std::string& address, const NormsRequest& request, absl::Duration timeout,
                NormsDone done) override ABSL_LOCKS_EXCLUDED(mutex_);
  const ChannelPool& channels() const { return channels_; }

 private:
  struct Call;

  void OnDone(Call* call, const grpc::Status& status) ABSL_LOCKS_EXCLUDED(mutex_);

  ChannelPool channels_;
  absl::Mutex mutex_;
  std::set<Call*> calls_ ABSL_GUARDED_BY(mutex_);  // not answered yet
  size_t running_ ABSL_GUARDED_BY(mutex_) = 0;     // calls that use this object
};

}  // namespace shoal::server
