#include "server/grpc_peer_link.h"

#include <utility>

#include "common/rpc/rpc.h"
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
  call->stub = ParameterService::NewStub(channels_.Get(address));
  {
    absl::MutexLock lock(&mutex_);
    calls_.insert(call);
    ++running_;
  }
  call->stub->async()->GetNorms(&call->context, &call->request, &call->reply,
                                [this, call](const grpc::Status& status) noexcept { OnDone(call, status); });
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
  owned.reset();  // see ChannelPool
  absl::MutexLock lock(&mutex_);
  --running_;
}

}  // namespace shoal::server
