#include "server/grpc_peer_link.h"

#include <utility>

#include "common/rpc.h"
#include "proto/parameter.grpc.pb.h"

namespace shoal::server {

struct GrpcPeerLink::Call {
  std::unique_ptr<ParameterService::Stub> stub;
  grpc::ClientContext context;
  NormsRequest request;
  Norms reply;
  NormsDone done;
};

GrpcPeerLink::~GrpcPeerLink() {
  const auto over = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return running_ == 0; };
  absl::MutexLock lock(&mutex_);
  for (Call* call : calls_) call->context.TryCancel();
  mutex_.Await(absl::Condition(&over));  // cancelled, and each has a deadline
}

void GrpcPeerLink::GetNorms(const std::string& address, const NormsRequest& request, absl::Duration timeout,
                            NormsDone done) {
  auto* const call = new Call;
  call->request = request;
  call->done = std::move(done);
  SetDeadline(&call->context, timeout);
  {
    absl::MutexLock lock(&mutex_);
    // Any one; not all, see OnDone.
    if (channels_.size() >= kMaxChannels && !channels_.contains(address)) channels_.erase(channels_.begin());
    std::shared_ptr<grpc::Channel>& channel = channels_[address];
    if (channel == nullptr) channel = NewChannel(address);
    call->stub = ParameterService::NewStub(channel);
    calls_.insert(call);
    ++running_;
  }
  call->stub->async()->GetNorms(&call->context, &call->request, &call->reply,
                                [this, call](const grpc::Status& status) { OnDone(call, status); });
}

size_t GrpcPeerLink::channels() const {
  absl::MutexLock lock(&mutex_);
  return channels_.size();
}

void GrpcPeerLink::OnDone(Call* call, const grpc::Status& status) {
  std::unique_ptr<Call> owned(call);
  {
    absl::MutexLock lock(&mutex_);
    calls_.erase(call);
  }
  if (status.ok()) {
    call->done(std::move(call->reply));
  } else {
    call->done(FromGrpcStatus(status));
  }
  // While there are other channels: the last one of a process must not end on a thread of gRPC's, which waits
  // for its threads then (1.51).
  owned.reset();
  absl::MutexLock lock(&mutex_);
  --running_;
}

}  // namespace shoal::server
