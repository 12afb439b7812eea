#include "worker/grpc_link.h"

#include <utility>

#include "absl/time/clock.h"
#include "common/rpc.h"
#include "spdlog/spdlog.h"
#include "worker/streams.h"

namespace shoal {
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

GrpcLink::GrpcLink(Options options, ParameterLinkEvents* events) : options_(std::move(options)), events_(events) {
  thread_ = std::thread([this] { RunTasks(); });
}

GrpcLink::~GrpcLink() {
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  thread_.join();  // it may hold the last reference to a stream's event
  Disconnect();
  absl::MutexLock lock(&mutex_);
  const auto over = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return running_ == 0; };
  mutex_.Await(absl::Condition(&over));  // all are cancelled, and each has a deadline or a living transport
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
    auto& channel = channels_[shard.address];
    if (channel == nullptr) channel = NewChannel(shard.address);
    shard.channel = channel;
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
  resume_ = true;
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
  shards_[i].pull->Start(shards_[i].channel, request);
}

void GrpcLink::OpenPush(uint32_t i) {
  shards_[i].push = std::make_shared<PushStream>(StreamPlace{this, generation_, i}, view_, options_.wire);
  ++running_;
  shards_[i].push->Start(shards_[i].channel);
}

void GrpcLink::AskShard(uint32_t i) {
  auto* call = new VersionsCall;
  call->generation = generation_;
  call->shard = i;
  call->view = view_;
  call->stub = ParameterService::NewStub(shards_[i].channel);
  call->request.set_job(options_.job.value());
  call->request.set_view(view_.value());
  SetDeadline(&call->context, kVersionsTimeout);
  calls_.insert(call);
  ++running_;
  call->stub->async()->GetVersions(&call->context, &call->request, &call->reply,
                                   [this, call](grpc::Status status) { OnVersionsDone(call, status); });
}

// ---- what happens to them ----

void GrpcLink::OnDelivery(uint64_t generation, uint32_t shard) {
  absl::MutexLock lock(&mutex_);
  if (generation == generation_) shards_[shard].backoff.Reset();
}

void GrpcLink::ReportStreamError(const char* what, uint32_t shard, const grpc::Status& status) {
  spdlog::warn("{} shard {} at {}: {}; trying again", what, shard, shards_[shard].address, status.error_message());
}

void GrpcLink::OnPullDone(uint64_t generation, uint32_t shard, const grpc::Status& status) {
  absl::MutexLock lock(&mutex_);
  if (stopping_ || generation != generation_) return;
  shards_[shard].pull.reset();
  ReportStreamError("pull from", shard, status);
  if (status.error_code() == grpc::StatusCode::OUT_OF_RANGE) {
    After(absl::ZeroDuration(), [this, view = view_] { events_->OnOutOfRange(view); });
    return;
  }
  After(shards_[shard].backoff.NextDelay(), [this, generation, shard] {
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
  After(shards_[shard].backoff.NextDelay(), [this, generation, shard] {
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
      After(absl::ZeroDuration(), [this, view = call->view, shard, lowest = Version(call->reply.lowest())] {
        events_->OnVersions(view, shard, lowest);
      });
    } else {
      ReportStreamError("versions of", shard, status);
      After(shards_[shard].backoff.NextDelay(), [this, generation = generation_, shard] {
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

// ---- the link's thread ----

void GrpcLink::After(absl::Duration delay, Task task) { tasks_.emplace(absl::Now() + delay, std::move(task)); }

void GrpcLink::RunTasks() {
  while (true) {
    Task task;
    std::vector<std::shared_ptr<PullStream>> resumed;
    {
      absl::MutexLock lock(&mutex_);
      const auto ready = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
        return stopping_ || resume_ || (!tasks_.empty() && tasks_.begin()->first <= absl::Now());
      };
      const absl::Time next = tasks_.empty() ? absl::Now() + absl::Seconds(1) : tasks_.begin()->first;
      mutex_.AwaitWithDeadline(absl::Condition(&ready), next);
      if (stopping_) return;
      if (std::exchange(resume_, false)) {
        for (const Shard& shard : shards_) {
          if (shard.pull != nullptr) resumed.push_back(shard.pull);
        }
      }
      if (!tasks_.empty() && tasks_.begin()->first <= absl::Now()) {
        task = std::move(tasks_.begin()->second);
        tasks_.erase(tasks_.begin());
      }
    }
    for (const auto& stream : resumed) stream->Resume();
    if (task) task();
  }
}

}  // namespace shoal
