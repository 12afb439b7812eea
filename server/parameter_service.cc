#include "server/parameter_service.h"

#include <deque>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/base/log.h"
#include "common/base/status.h"
#include "common/protocol/block_checksum.h"
#include "common/protocol/block_message.h"
#include "common/rpc/grpc_deadline.h"
#include "common/rpc/rpc.h"
#include "grpcpp/alarm.h"
#include "server/push_reply.h"
#include "server/subscription.h"

namespace shoal::server {
namespace {

// How long a write may take once its stream is over. A worker that is reading accepts a block in less.
constexpr absl::Duration kWritePatience = absl::Seconds(2);

// Ends a call that can't finish until a write does: if the worker has stopped reading, that would take
// forever. Thread-safe.
class LastWrite : public std::enable_shared_from_this<LastWrite> {
 public:
  explicit LastWrite(grpc::CallbackServerContext* context) : context_(context) {}

  // The call should end, and a write is in progress.
  void Watch() {
    absl::MutexLock lock(&mutex_);
    if (std::exchange(watched_, true)) return;
    alarm_.Set(GrpcDeadline(kWritePatience), [weak = weak_from_this()](bool) {
      if (const auto self = weak.lock()) self->Cancel();
    });
  }
  // The call is over, and so is `context`.
  void Over() {
    absl::MutexLock lock(&mutex_);
    context_ = nullptr;
  }

 private:
  void Cancel() {
    absl::MutexLock lock(&mutex_);
    if (context_ != nullptr) context_->TryCancel();
  }

  absl::Mutex mutex_;
  grpc::CallbackServerContext* context_ ABSL_GUARDED_BY(mutex_);  // null: the call is over
  bool watched_ ABSL_GUARDED_BY(mutex_) = false;
  grpc::Alarm alarm_ ABSL_GUARDED_BY(mutex_);
};

// One worker's contributions. Lives until gRPC is done with it and the job has forgotten it. Holds the job
// only while it adds a contribution. The thread that has read a contribution adds it: those of one stream are
// added one after another, those of several workers in parallel.
class PushReactor : public grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>,
                    public WorkerStream,
                    public std::enable_shared_from_this<PushReactor> {
 public:
  PushReactor(grpc::CallbackServerContext* context, const ParameterServiceImpl::FindJob& find)
      : find_(find), last_write_(std::make_shared<LastWrite>(context)) {}

  void Start() {
    self_ = shared_from_this();
    StartRead(&incoming_);
  }

  // ---- WorkerStream ----
  ViewKey view() const override { return binding_.view(); }
  void End(const absl::Status& status) override {
    absl::MutexLock lock(&mutex_);
    if (!end_) end_ = status;
    WriteNext();
    if (writing_) last_write_->Watch();
  }

  // ---- gRPC ----
  void OnReadDone(bool ok) noexcept override {
    if (!ok) return End(absl::OkStatus());
    const absl::Status status = Take();
    incoming_.Clear();
    if (!status.ok()) return End(status);
    absl::MutexLock lock(&mutex_);
    if (!finished_) StartRead(&incoming_);
  }
  void OnWriteDone(bool) noexcept override {
    absl::MutexLock lock(&mutex_);
    writing_ = false;
    WriteNext();
  }
  void OnDone() noexcept override {
    binding_.Release(self_);
    last_write_->Over();
    std::shared_ptr<PushReactor> self;  // may be the last reference; released without the lock
    absl::MutexLock lock(&mutex_);
    self = std::move(self_);
  }

 private:
  absl::Status Take() {
    SHOAL_ASSIGN_OR_RETURN(ContributionMessage message, ParseContribution(incoming_));
    SHOAL_ASSIGN_OR_RETURN(const std::shared_ptr<ShardHost> job,
                           binding_.Bind(KeyOf(message.header), self_, find_));
    const auto result = job->shard().Contribute(message.header, std::move(message.payload));
    const std::optional<PushReply> reply = ReplyTo(message.header, result.status());
    if (!reply) return result.status();
    absl::MutexLock lock(&mutex_);
    if (replies_.size() >= ParameterServiceImpl::kMaxReplies) return result.status();
    replies_.push_back(reply->SerializeAsString());
    WriteNext();
    return absl::OkStatus();
  }

  void WriteNext() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (writing_ || finished_) return;
    if (!replies_.empty()) {
      const grpc::Slice slice(replies_.front());
      outgoing_ = grpc::ByteBuffer(&slice, 1);
      replies_.pop_front();
      writing_ = true;
      return StartWrite(&outgoing_);
    }
    if (!end_) return;
    finished_ = true;
    Finish(ToGrpcStatus(*end_));
  }

  const ParameterServiceImpl::FindJob& find_;  // of the service
  const std::shared_ptr<LastWrite> last_write_;
  std::shared_ptr<PushReactor> self_;
  // ---- used only by the reading thread ----
  grpc::ByteBuffer incoming_;
  PushBinding binding_;

  absl::Mutex mutex_;
  std::deque<std::string> replies_ ABSL_GUARDED_BY(mutex_);
  grpc::ByteBuffer outgoing_ ABSL_GUARDED_BY(mutex_);
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
  std::optional<absl::Status> end_ ABSL_GUARDED_BY(mutex_);
};

// One worker's subscription. Lives until gRPC is done with it and the job has forgotten it. Holds the job
// only during a lookup, and only the version being written: a worker that does not read keeps no job alive.
class PullReactor : public grpc::ServerWriteReactor<grpc::ByteBuffer>,
                    public WorkerStream,
                    public std::enable_shared_from_this<PullReactor> {
 public:
  PullReactor(grpc::CallbackServerContext* context, const std::shared_ptr<ShardHost>& job,
              const PullRequest& request, absl::Span<const BlockId> blocks)
      : job_(job),
        view_(KeyOf(request)),
        last_write_(std::make_shared<LastWrite>(context)),
        subscription_(Version(request.from_version()), blocks) {}

  void Start(ShardHost* job) {
    self_ = shared_from_this();
    const absl::Status status = job->Attach(self_);
    if (!status.ok()) return End(status);
    absl::MutexLock lock(&mutex_);
    WriteNext();
  }

  // ---- WorkerStream ----
  ViewKey view() const override { return view_; }
  void Wake(BlockId block) override {
    absl::MutexLock lock(&mutex_);
    subscription_.Signal(block);
    WriteNext();
  }
  void End(const absl::Status& status) override {
    absl::MutexLock lock(&mutex_);
    if (!end_) end_ = status;
    WriteNext();
    if (writing_) last_write_->Watch();
  }

  // ---- gRPC ----
  void OnWriteDone(bool ok) noexcept override {
    absl::MutexLock lock(&mutex_);
    writing_ = false;
    outgoing_.Clear();
    if (!ok && !end_) end_ = absl::CancelledError("the stream broke");
    WriteNext();
  }
  void OnCancel() noexcept override { End(absl::CancelledError("the worker has left")); }
  void OnDone() noexcept override {
    if (const auto job = job_.lock()) job->Detach(self_);
    last_write_->Over();
    std::shared_ptr<PullReactor> self;  // may be the last reference; released without the lock
    absl::MutexLock lock(&mutex_);
    self = std::move(self_);
  }

 private:
  void WriteNext() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (writing_ || finished_) return;
    const std::optional<Subscription::Item> next = end_ ? std::nullopt : NextItem();
    if (end_) {
      finished_ = true;
      return Finish(ToGrpcStatus(*end_));
    }
    if (!next) return;
    PublishedHeader header;
    SetKey(view_, &header);
    header.set_version(next->published.version.value());
    header.set_block(next->block.value());
    header.set_wire(next->published.wire);
    header.set_with_average(next->published.with_average);
    header.set_crc32c(BlockChecksum(header, next->published.payload_crc32c));
    outgoing_ = EncodeBlockMessage(header, next->published.payload);
    writing_ = true;
    StartWrite(&outgoing_);
  }

  // nullopt: nothing is available now, or end_ is set.
  std::optional<Subscription::Item> NextItem() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const std::shared_ptr<ShardHost> job = job_.lock();
    if (job == nullptr) {
      end_ = absl::FailedPreconditionError("the job has ended on this server");
      return std::nullopt;
    }
    auto next = subscription_.Next(
        [&](BlockId block, Version version) { return job->shard().Published(view_, block, version); });
    if (next.ok()) return *std::move(next);
    end_ = next.status();
    return std::nullopt;
  }

  const std::weak_ptr<ShardHost> job_;
  const ViewKey view_;
  const std::shared_ptr<LastWrite> last_write_;
  std::shared_ptr<PullReactor> self_;

  absl::Mutex mutex_;
  Subscription subscription_ ABSL_GUARDED_BY(mutex_);
  grpc::ByteBuffer outgoing_ ABSL_GUARDED_BY(mutex_);
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
  std::optional<absl::Status> end_ ABSL_GUARDED_BY(mutex_);
};

// A Pull that can't begin.
class RefusedPull : public grpc::ServerWriteReactor<grpc::ByteBuffer> {
 public:
  explicit RefusedPull(const absl::Status& status) { Finish(ToGrpcStatus(status)); }
  void OnDone() noexcept override { delete this; }
};

}  // namespace

grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>* ParameterServiceImpl::Push(
    grpc::CallbackServerContext* context) noexcept {
  const auto reactor = std::make_shared<PushReactor>(context, find_);
  reactor->Start();
  return reactor.get();
}

grpc::ServerWriteReactor<grpc::ByteBuffer>* ParameterServiceImpl::Pull(
    grpc::CallbackServerContext* context, const grpc::ByteBuffer* buffer) noexcept {
  const auto request = ParsePullRequest(*buffer);
  if (!request.ok()) return new RefusedPull(request.status());
  const auto job = find_(JobId(request->job()));
  if (!job.ok()) return new RefusedPull(job.status());
  const auto blocks = (*job)->shard().Blocks(KeyOf(*request));
  if (!blocks.ok()) return new RefusedPull(blocks.status());
  const auto reactor = std::make_shared<PullReactor>(context, *job, *request, *blocks);
  reactor->Start(job->get());
  return reactor.get();
}

grpc::ServerUnaryReactor* ParameterServiceImpl::GetNorms(grpc::CallbackServerContext* context,
                                                         const NormsRequest* request,
                                                         Norms* response) noexcept {
  grpc::ServerUnaryReactor* const reactor = context->DefaultReactor();
  const auto job = find_(JobId(request->job()));
  absl::Status status = job.status();
  if (status.ok()) {
    auto known = (*job)->shard().GetNorms(*request);
    status = known.status();
    if (absl::IsInvalidArgument(status)) LogWarning("Refused ", context->peer(), ": ", status.ToString());
    if (known.ok()) *response = *std::move(known);
  }
  reactor->Finish(ToGrpcStatus(status));
  return reactor;
}

grpc::ServerUnaryReactor* ParameterServiceImpl::GetVersions(grpc::CallbackServerContext* context,
                                                            const VersionsRequest* request,
                                                            VersionsReply* response) noexcept {
  grpc::ServerUnaryReactor* const reactor = context->DefaultReactor();
  const auto job = find_(JobId(request->job()));
  absl::Status status = job.status();
  if (status.ok()) {
    const auto versions = (*job)->shard().Versions(KeyOf(*request));
    status = versions.status();
    if (versions.ok()) {
      response->set_lowest(versions->lowest.value());
      response->set_highest(versions->highest.value());
    }
  }
  reactor->Finish(ToGrpcStatus(status));
  return reactor;
}

}  // namespace shoal::server
