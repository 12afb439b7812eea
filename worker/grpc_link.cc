#include "worker/grpc_link.h"

#include <utility>

#include "absl/time/clock.h"
#include "common/rpc.h"
#include "spdlog/spdlog.h"
#include "worker/streams.h"

namespace shoal::worker {
namespace {

constexpr absl::Duration kVersionsTimeout = absl::Seconds(2);

}  // namespace

struct GrpcLink::VersionsCall {
  uint64_t generation = 0;
  uint32_t shard = 0;
  ViewId view;
  std::unique_ptr<ParameterService::Stub> stub;
  grpc::ClientContext context;
  VersionsRequest request;
  VersionsReply reply;
};

GrpcLink::GrpcLink(Options options, ParameterLinkEvents* events)
    : options_(std::move(options)), events_(events), simulated_(options_.link_bits_per_second) {}

GrpcLink::~GrpcLink() {
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  timers_.Stop();
  Disconnect();
  absl::MutexLock lock(&mutex_);
  const auto over = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return running_ == 0; };
  mutex_.Await(absl::Condition(&over));  // all are cancelled, and each has a deadline or a living transport
}

GrpcLink::Channels GrpcLink::NewChannels(const std::string& address) {
  ChannelOptions push, pull;
  push.connection_index = 1;
  return {NewChannel(address, push), NewChannel(address, pull)};
}

// ---- commands ----

void GrpcLink::SetView(const View& view) {
  absl::MutexLock lock(&mutex_);
  CancelStreams();
  view_ = ViewId(view.view());
  shards_.clear();
  for (const ShardAssignment& assignment : view.shards()) {
    Shard shard;
    shard.address = assignment.primary().address();
    Channels& channels = channels_[shard.address];
    if (channels.push == nullptr) channels = NewChannels(shard.address);
    shard.channels = channels;
    shard.backoff = Backoff(options_.backoff_seed + shards_.size());
    shards_.push_back(std::move(shard));
  }
}

void GrpcLink::AskVersions() {
  absl::MutexLock lock(&mutex_);
  CancelStreams();
  for (uint32_t i = 0; i < shards_.size(); ++i) AskShard(i);
}

void GrpcLink::Open(Version from) {
  absl::MutexLock lock(&mutex_);
  CancelStreams();
  for (uint32_t i = 0; i < shards_.size(); ++i) {
    OpenPush(i);
    OpenPull(i, from);
  }
}

void GrpcLink::Push(BlockContribution contribution) {
  absl::MutexLock lock(&mutex_);
  if (shards_.empty()) return;
  Shard& shard = shards_[contribution.header.block() % shards_.size()];
  // Without a stream it is not lost: OnPushReopened asks for all that is held.
  if (shard.push != nullptr) shard.push->Push(std::move(contribution));
}

void GrpcLink::Resume() {
  absl::MutexLock lock(&mutex_);
  if (std::exchange(resuming_, true)) return;
  timers_.After(absl::ZeroDuration(), [this] { ResumeStreams(); });
}

void GrpcLink::Disconnect() {
  absl::MutexLock lock(&mutex_);
  CancelStreams();
}

// ---- streams ----

void GrpcLink::CancelStreams() {
  ++generation_;
  for (Shard& shard : shards_) {
    if (shard.pull != nullptr) shard.pull->Cancel();
    if (shard.push != nullptr) shard.push->Cancel();
    shard.pull.reset();
    shard.push.reset();
  }
  for (VersionsCall* call : calls_) call->context.TryCancel();
}

void GrpcLink::OpenPull(uint32_t i, Version from) {
  PullRequest request;
  request.set_job(options_.job.value());
  request.set_view(view_.value());
  request.set_from_version(from.value());
  shards_[i].pull = std::make_shared<PullStream>(StreamPlace{this, generation_, i}, &options_.block_elements);
  ++running_;
  shards_[i].pull->Start(shards_[i].channels.pull, request);
}

void GrpcLink::OpenPush(uint32_t i) {
  shards_[i].push = std::make_shared<PushStream>(StreamPlace{this, generation_, i}, view_, options_.wire);
  ++running_;
  shards_[i].push->Start(shards_[i].channels.push);
}

void GrpcLink::AskShard(uint32_t i) {
  auto* call = new VersionsCall;
  call->generation = generation_;
  call->shard = i;
  call->view = view_;
  call->stub = ParameterService::NewStub(shards_[i].channels.pull);
  call->request.set_job(options_.job.value());
  call->request.set_view(view_.value());
  SetDeadline(&call->context, kVersionsTimeout);
  calls_.insert(call);
  ++running_;
  call->stub->async()->GetVersions(
      &call->context, &call->request, &call->reply,
      [this, call](const grpc::Status& status) { OnVersionsDone(call, status); });
}

// ---- what happens to them ----

void GrpcLink::OnDelivery(uint64_t generation, uint32_t shard) {
  absl::MutexLock lock(&mutex_);
  if (generation == generation_) shards_[shard].backoff.Reset();
}

void GrpcLink::ReportStreamError(const char* what, uint32_t shard, const grpc::Status& status) {
  // At the end of a view or of a job servers end the streams: no news for a log.
  const bool expected = status.error_code() == grpc::StatusCode::FAILED_PRECONDITION;
  spdlog::log(expected ? spdlog::level::debug : spdlog::level::warn, "{} shard {} at {}: {}; trying again",
              what, shard, shards_[shard].address, status.error_message());
}

void GrpcLink::OnPullDone(uint64_t generation, uint32_t shard, const grpc::Status& status) {
  absl::MutexLock lock(&mutex_);
  if (stopping_ || generation != generation_) return;
  shards_[shard].pull.reset();
  ReportStreamError("pull from", shard, status);
  if (status.error_code() == grpc::StatusCode::OUT_OF_RANGE) {
    timers_.After(absl::ZeroDuration(), [this, view = view_] { events_->OnOutOfRange(view); });
    return;
  }
  timers_.After(shards_[shard].backoff.NextDelay(), [this, generation, shard] {
    const Version from = events_->PullFrom();
    absl::MutexLock lock(&mutex_);
    if (generation == generation_ && !stopping_) OpenPull(shard, from);
  });
}

void GrpcLink::OnPushDone(uint64_t generation, uint32_t shard, const grpc::Status& status) {
  absl::MutexLock lock(&mutex_);
  if (stopping_ || generation != generation_) return;
  shards_[shard].push.reset();
  ReportStreamError("push to", shard, status);
  timers_.After(shards_[shard].backoff.NextDelay(), [this, generation, shard] {
    ViewId view;
    {
      absl::MutexLock lock(&mutex_);
      if (generation != generation_ || stopping_) return;
      OpenPush(shard);
      view = view_;
    }
    events_->OnPushReopened(view, shard);
  });
}

void GrpcLink::OnVersionsDone(VersionsCall* call, const grpc::Status& status) {
  absl::MutexLock lock(&mutex_);
  calls_.erase(call);
  if (!stopping_ && call->generation == generation_) {
    const uint32_t shard = call->shard;
    if (status.ok()) {
      timers_.After(absl::ZeroDuration(),
                    [this, view = call->view, shard, lowest = Version(call->reply.lowest())] {
                      events_->OnVersions(view, shard, lowest);
                    });
    } else {
      ReportStreamError("versions of", shard, status);
      timers_.After(shards_[shard].backoff.NextDelay(), [this, generation = generation_, shard] {
        absl::MutexLock lock(&mutex_);
        if (generation == generation_ && !stopping_) AskShard(shard);
      });
    }
  }
  delete call;
  --running_;
}

void GrpcLink::StreamEnded() {
  absl::MutexLock lock(&mutex_);
  --running_;
}

// Offers waiting blocks again: from the queue's thread, since the caller may hold the lock that they need.
void GrpcLink::ResumeStreams() {
  std::vector<std::shared_ptr<PullStream>> streams;
  {
    absl::MutexLock lock(&mutex_);
    resuming_ = false;
    for (const Shard& shard : shards_) {
      if (shard.pull != nullptr) streams.push_back(shard.pull);
    }
  }
  for (const auto& stream : streams) stream->Resume();
}

}  // namespace shoal::worker
