#include "worker/grpc_link.h"

#include <memory>
#include <set>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "common/rpc/channel_pool.h"
#include "common/rpc/rpc.h"
#include "proto/parameter.grpc.pb.h"
#include "worker/retrying_link.h"
#include "worker/streams.h"

namespace shoal::worker {
namespace {

class GrpcStreams : public ParameterStreams {
 public:
  GrpcStreams(const GrpcLinkOptions& options, StreamEvents* events)
      : shared_(options.wire, options.block_elements) {
    shared_.events = events;
  }
  // The streams are cancelled by now, and each has a deadline or a live transport.
  ~GrpcStreams() override {
    {
      absl::MutexLock lock(&mutex_);
      for (VersionsCall* call : calls_) call->context.TryCancel();
    }
    shared_.running.WaitForNone();
  }

  std::shared_ptr<PullStreamHandle> Pull(const StreamPlace& place, Version from) override {
    PullRequest request;
    SetKey(place.view, &request);
    request.set_from_version(from.value());
    auto stream = std::make_shared<PullStream>(place, &shared_);
    stream->Start(channels_.Get(place.address, kPulls), request);
    return stream;
  }
  std::shared_ptr<PushStreamHandle> Push(const StreamPlace& place) override {
    auto stream = std::make_shared<PushStream>(place, &shared_);
    stream->Start(channels_.Get(place.address, kPushes));
    return stream;
  }
  void AskVersions(const StreamPlace& place) override {
    auto* const call = new VersionsCall;
    call->place = place;
    call->stub = ParameterService::NewStub(channels_.Get(place.address, kPulls));
    SetKey(place.view, &call->request);
    SetDeadline(&call->context, kVersionsTimeout);
    shared_.running.Begin();
    {
      absl::MutexLock lock(&mutex_);
      calls_.insert(call);
    }
    call->stub->async()->GetVersions(
        &call->context, &call->request, &call->reply,
        [this, call](const grpc::Status& status) noexcept { OnDone(call, status); });
  }

 private:
  // Pushes and pulls have a connection each: a single one does not saturate a fast network, since each end
  // processes a connection's bytes with one thread at a time.
  static constexpr int kPulls = 0, kPushes = 1;
  struct VersionsCall {
    StreamPlace place;
    std::unique_ptr<ParameterService::Stub> stub;
    grpc::ClientContext context;
    VersionsRequest request;
    VersionsReply reply;
  };

  void OnDone(VersionsCall* call, const grpc::Status& status) ABSL_LOCKS_EXCLUDED(mutex_) {
    std::unique_ptr<VersionsCall> owned(call);
    {
      absl::MutexLock lock(&mutex_);
      calls_.erase(call);
    }
    absl::StatusOr<Version> lowest(Version(call->reply.lowest()));
    if (!status.ok()) lowest = FromGrpcStatus(status);
    shared_.events->OnVersionsDone(call->place, lowest);
    owned.reset();  // see ChannelPool
    shared_.running.End();
  }

  StreamContext shared_;
  ChannelPool channels_;
  absl::Mutex mutex_;
  std::set<VersionsCall*> calls_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace

std::unique_ptr<ParameterLink> NewGrpcLink(const GrpcLinkOptions& options, ParameterLinkEvents* events) {
  return std::make_unique<RetryingLink>(
      RetryingLink::Options{options.backoff_seed, options.executors}, events,
      [&](StreamEvents* stream_events) { return std::make_unique<GrpcStreams>(options, stream_events); });
}

}  // namespace shoal::worker
