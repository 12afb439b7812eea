#include "server/parameter_service.h"

#include <deque>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "common/block_message.h"
#include "common/rpc.h"
#include "common/status.h"
#include "server/subscription.h"

namespace shoal::server {
namespace {

// One worker's contributions. Deletes itself when gRPC is done with it. A contribution is added by the thread
// that read it, so one stream's contributions are added one after the other, those of several workers side by
// side.
class PushReactor : public grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer> {
 public:
  explicit PushReactor(const ParameterServiceImpl::FindJob& find) : find_(find) { StartRead(&incoming_); }

  void OnReadDone(bool ok) override {
    if (!ok) return End(absl::OkStatus());
    const absl::Status status = Take();
    incoming_.Clear();
    if (!status.ok()) return End(status);
    StartRead(&incoming_);
  }
  void OnWriteDone(bool) override {
    absl::MutexLock lock(&mutex_);
    writing_ = false;
    WriteNext();
  }
  void OnDone() override { delete this; }

 private:
  absl::Status Take() {
    SHOAL_ASSIGN_OR_RETURN(ContributionMessage message, ParseContribution(incoming_));
    SHOAL_ASSIGN_OR_RETURN(const std::shared_ptr<ServerJob> job, find_(JobId(message.header.job())));
    const auto result = job->shard().Contribute(message.header, std::move(message.payload));
    if (!absl::IsDataLoss(result.status())) return result.status();
    PushReply reply;
    reply.set_block(message.header.block());
    reply.set_round(message.header.round());
    reply.set_slot_begin(message.header.slot_begin());
    reply.set_slot_end(message.header.slot_end());
    reply.set_error(std::string(result.status().message()));
    absl::MutexLock lock(&mutex_);
    replies_.push_back(reply.SerializeAsString());
    WriteNext();
    return absl::OkStatus();
  }

  void End(const absl::Status& status) {
    absl::MutexLock lock(&mutex_);
    if (!end_) end_ = status;
    WriteNext();
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
  grpc::ByteBuffer incoming_;

  absl::Mutex mutex_;
  std::deque<std::string> replies_ ABSL_GUARDED_BY(mutex_);
  grpc::ByteBuffer outgoing_ ABSL_GUARDED_BY(mutex_);
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
  std::optional<absl::Status> end_ ABSL_GUARDED_BY(mutex_);
};

// One worker's subscription. Lives until gRPC is done with it and the job has forgotten it.
class PullReactor : public grpc::ServerWriteReactor<grpc::ByteBuffer>,
                    public PullStream,
                    public std::enable_shared_from_this<PullReactor> {
 public:
  PullReactor(std::shared_ptr<ServerJob> job, const PullRequest& request)
      : job_(std::move(job)),
        view_(request.view()),
        subscription_(Version(request.from_version()), job_->job().blocks.size()) {}

  void Start(Version from) {
    self_ = shared_from_this();
    const absl::Status status = job_->Subscribe(self_, from);
    if (!status.ok()) End(status);
  }

  // ---- PullStream ----
  ViewId view() const override { return view_; }
  void Offer(BlockId block, const PublishedVersion& published) override {
    absl::MutexLock lock(&mutex_);
    if (end_) return;
    const absl::Status status = subscription_.Add(block, published);
    if (!status.ok()) end_ = status;
    WriteNext();
  }
  void End(const absl::Status& status) override {
    absl::MutexLock lock(&mutex_);
    if (!end_) end_ = status;
    WriteNext();
  }

  // ---- gRPC ----
  void OnWriteDone(bool ok) override {
    absl::MutexLock lock(&mutex_);
    writing_ = false;
    outgoing_.Clear();
    if (!ok && !end_) end_ = absl::CancelledError("the stream is broken");
    WriteNext();
  }
  void OnCancel() override { End(absl::CancelledError("the worker has left")); }
  void OnDone() override {
    job_->Unsubscribe(self_);
    self_.reset();  // may destroy this
  }

 private:
  void WriteNext() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (writing_ || finished_) return;
    if (end_) {
      finished_ = true;
      return Finish(ToGrpcStatus(*end_));
    }
    const auto next = subscription_.Next();
    if (!next) return;
    PublishedHeader header;
    header.set_job(job_->id().value());
    header.set_view(view_.value());
    header.set_version(next->published.version.value());
    header.set_block(next->block.value());
    header.set_wire(next->published.wire);
    header.set_crc32c(next->published.crc32c);
    outgoing_ = EncodeBlockMessage(header, next->published.payload);
    writing_ = true;
    StartWrite(&outgoing_);
  }

  const std::shared_ptr<ServerJob> job_;
  const ViewId view_;
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
  void OnDone() override { delete this; }
};

absl::StatusOr<PullRequest> ParsePullRequest(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  if (!buffer.Dump(&slices).ok()) return absl::InvalidArgumentError("the request can't be read");
  std::string bytes;
  for (const grpc::Slice& slice : slices)
    bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  PullRequest request;
  if (!request.ParseFromString(bytes)) return absl::InvalidArgumentError("expected a PullRequest");
  return request;
}

}  // namespace

grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>* ParameterServiceImpl::Push(
    grpc::CallbackServerContext*) {
  return new PushReactor(find_);
}

grpc::ServerWriteReactor<grpc::ByteBuffer>* ParameterServiceImpl::Pull(grpc::CallbackServerContext*,
                                                                       const grpc::ByteBuffer* buffer) {
  const auto request = ParsePullRequest(*buffer);
  if (!request.ok()) return new RefusedPull(request.status());
  auto job = find_(JobId(request->job()));
  if (!job.ok()) return new RefusedPull(job.status());
  const auto reactor = std::make_shared<PullReactor>(*std::move(job), *request);
  reactor->Start(Version(request->from_version()));
  return reactor.get();
}

grpc::ServerUnaryReactor* ParameterServiceImpl::ExchangeNorms(grpc::CallbackServerContext* context,
                                                              const Norms* request, Norms* response) {
  grpc::ServerUnaryReactor* const reactor = context->DefaultReactor();
  const auto job = find_(JobId(request->job()));
  absl::Status status = job.status();
  if (status.ok()) {
    auto known = (*job)->shard().OnNorms(*request);
    status = known.status();
    if (known.ok()) *response = *std::move(known);
  }
  reactor->Finish(ToGrpcStatus(status));
  return reactor;
}

grpc::ServerUnaryReactor* ParameterServiceImpl::GetVersions(grpc::CallbackServerContext* context,
                                                            const VersionsRequest* request,
                                                            VersionsReply* response) {
  grpc::ServerUnaryReactor* const reactor = context->DefaultReactor();
  const auto job = find_(JobId(request->job()));
  absl::Status status = job.status();
  if (status.ok()) {
    const auto versions = (*job)->shard().Versions(ViewId(request->view()));
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
