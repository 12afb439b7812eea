#include "common/rpc/grpc_scheduler_link.h"

#include <utility>

#include "common/rpc/rpc.h"

namespace shoal {
namespace {

// Owned by SessionClient. gRPC is done with it when OnDone has run, which the destructor waits for. A hold
// keeps the call from finishing while operations may start outside its events.
class GrpcSchedulerStream : public SchedulerStream, private grpc::ClientBidiReactor<NodeReport, Directive> {
 public:
  GrpcSchedulerStream(SchedulerService::Stub* stub, const Hello& hello, SchedulerStreamEvents* events)
      : events_(events) {
    stub->async()->Session(&context_, this);
    *report_.mutable_hello() = hello;
    AddHold();
    StartWrite(&report_);
    StartRead(&directive_);
    StartCall();
  }

  ~GrpcSchedulerStream() override {
    context_.TryCancel();
    DropHold();
    const auto done = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return done_; };
    absl::MutexLock lock(&mutex_);
    mutex_.Await(absl::Condition(&done));
  }

  void Write(NodeReport report) override {
    absl::MutexLock lock(&mutex_);
    if (!held_) return;
    report_ = std::move(report);
    StartWrite(&report_);
  }

  void ReadOn() override {
    absl::MutexLock lock(&mutex_);
    if (held_) StartRead(&directive_);
  }

 private:
  // ---- gRPC: each event ends with the lock, and OnDone takes it, so that they are ordered ----
  void OnReadInitialMetadataDone(bool ok) noexcept override {
    // A response that is only an error has no headers.
    if (ok && !context_.GetServerInitialMetadata().empty()) events_->OnOpened();
    absl::MutexLock lock(&mutex_);
  }
  void OnReadDone(bool ok) noexcept override {
    if (!ok) return DropHold();
    Directive directive;
    {
      absl::MutexLock lock(&mutex_);
      directive.Swap(&directive_);
    }
    events_->OnDirective(std::move(directive));
    absl::MutexLock lock(&mutex_);
  }
  void OnWriteDone(bool ok) noexcept override {
    if (!ok) return DropHold();
    events_->OnWritten();
    absl::MutexLock lock(&mutex_);
  }
  void OnDone(const grpc::Status& status) noexcept override {
    { absl::MutexLock lock(&mutex_); }
    events_->OnClosed(FromGrpcStatus(status));
    absl::MutexLock lock(&mutex_);
    done_ = true;
  }

  // The stream is broken or no longer wanted: OnDone comes once the running operations have ended.
  void DropHold() {
    {
      absl::MutexLock lock(&mutex_);
      if (!std::exchange(held_, false)) return;
    }
    RemoveHold();
  }

  SchedulerStreamEvents* const events_;
  grpc::ClientContext context_;

  absl::Mutex mutex_;
  NodeReport report_ ABSL_GUARDED_BY(mutex_);    // being written
  Directive directive_ ABSL_GUARDED_BY(mutex_);  // being read
  bool held_ ABSL_GUARDED_BY(mutex_) = true;     // operations may start
  bool done_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace

// gRPC uses it until its callback has returned.
struct GrpcSchedulerLink::JoinCall {
  grpc::ClientContext context;
  JoinRequest request;
  JoinResponse response;
};

GrpcSchedulerLink::GrpcSchedulerLink(std::shared_ptr<grpc::Channel> channel)
    : stub_(SchedulerService::NewStub(std::move(channel))) {}

GrpcSchedulerLink::~GrpcSchedulerLink() {
  const auto idle = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return running_ == 0; };
  absl::MutexLock lock(&mutex_);
  stopping_ = true;
  if (join_ != nullptr) join_->context.TryCancel();
  mutex_.Await(absl::Condition(&idle));
}

void GrpcSchedulerLink::Join(const JoinRequest& request, absl::Duration timeout,
                             std::function<void(absl::StatusOr<JoinResponse>)> done) {
  const auto call = std::make_shared<JoinCall>();
  call->request = request;
  SetDeadline(&call->context, timeout);
  {
    absl::MutexLock lock(&mutex_);
    join_ = call;
    ++running_;
  }
  stub_->async()->Join(
      &call->context, &call->request, &call->response,
      [this, call, done = std::move(done)](const grpc::Status& status) noexcept {
        bool wanted;
        {
          absl::MutexLock lock(&mutex_);
          wanted = !stopping_;
        }
        if (wanted && status.ok()) done(call->response);
        if (wanted && !status.ok()) {
          done(IsForeign(status) ? absl::UnimplementedError(status.error_message()) : FromGrpcStatus(status));
        }
        absl::MutexLock lock(&mutex_);
        --running_;
      });
}

std::unique_ptr<SchedulerStream> GrpcSchedulerLink::Open(const Hello& hello, SchedulerStreamEvents* events) {
  return std::make_unique<GrpcSchedulerStream>(stub_.get(), hello, events);
}

}  // namespace shoal
