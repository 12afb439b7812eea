#include "scheduler/scheduler_service.h"

#include <memory>
#include <optional>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "common/base/event.h"
#include "common/base/log.h"
#include "common/rpc/artifact_chunks.h"
#include "common/rpc/rpc.h"
#include "scheduler/directive_queue.h"

namespace shoal::scheduler {
namespace {

// A client that has left is noticed within this time.
constexpr absl::Duration kWatchPoll = absl::Milliseconds(500);

// One session. Deletes itself when gRPC is done with it: every other callback holds the lock when it
// returns, and OnDone takes it, so by then they have all returned.
class SessionReactor : public grpc::ServerBidiReactor<NodeReport, Directive>, public SessionStream {
 public:
  SessionReactor(SchedulerNode* node, grpc::CallbackServerContext* context) : node_(node), context_(context) {
    StartRead(&report_);
  }

  // ---- SessionStream ----
  void Send(const Directive& directive) override {
    absl::MutexLock lock(&mutex_);
    if (end_) return;
    const absl::Status status = queue_.Push(directive);
    if (!status.ok()) {
      LogWarning("Node ", id_.value(), " loses its session: ", status.message());
      end_ = status;
      context_->TryCancel();  // a write in progress would never end
    }
    WriteNext();
  }
  void End(const absl::Status& status) override {
    absl::MutexLock lock(&mutex_);
    if (!end_) end_ = status;
    queue_.Clear();
    WriteNext();
  }
  size_t unread_bytes() const override {
    absl::MutexLock lock(&mutex_);
    return queue_.bytes();
  }

  // ---- gRPC ----
  void OnReadDone(bool ok) noexcept override {
    if (!ok) return End(absl::OkStatus());
    const absl::Status status = open_ ? node_->Report(id_, this, report_) : Open();
    if (!status.ok()) return End(status);
    absl::MutexLock lock(&mutex_);
    StartRead(&report_);
  }
  void OnSendInitialMetadataDone(bool) override { absl::MutexLock lock(&mutex_); }
  void OnCancel() noexcept override { absl::MutexLock lock(&mutex_); }
  void OnWriteDone(bool ok) noexcept override {
    absl::MutexLock lock(&mutex_);
    writing_ = false;
    if (!ok && !end_) end_ = absl::CancelledError("the stream broke");
    WriteNext();
  }
  void OnDone() noexcept override {
    { absl::MutexLock lock(&mutex_); }
    if (open_) node_->SessionOver(id_, this);
    delete this;
  }

 private:
  absl::Status Open() {
    if (!report_.has_hello())
      return absl::InvalidArgumentError("the first report of a session must be a Hello");
    id_ = NodeId(report_.hello().node_id());
    {
      absl::MutexLock lock(&mutex_);
      writing_ = true;  // directives wait until the headers are out
    }
    const absl::Status status = node_->OpenSession(report_.hello(), this);
    open_ = status.ok();
    absl::MutexLock lock(&mutex_);
    writing_ = false;
    if (open_ && !end_) {
      // Tells the node that its session is open.
      context_->AddInitialMetadata("shoal-session", "open");
      StartSendInitialMetadata();
    }
    WriteNext();
    return status;
  }

  void WriteNext() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (writing_ || finished_) return;
    if (end_) {
      finished_ = true;
      return Finish(ToGrpcStatus(*end_));
    }
    std::optional<Directive> next = queue_.Pop();
    if (!next) return;
    directive_ = *std::move(next);
    writing_ = true;
    StartWrite(&directive_);
  }

  SchedulerNode* const node_;
  grpc::CallbackServerContext* const context_;
  // Used by the reading callbacks, one at a time.
  NodeReport report_;
  NodeId id_;  // also by Send, which is called only once it is set
  bool open_ = false;

  mutable absl::Mutex mutex_;
  DirectiveQueue queue_ ABSL_GUARDED_BY(mutex_);
  Directive directive_ ABSL_GUARDED_BY(mutex_);  // being written
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
  std::optional<absl::Status> end_ ABSL_GUARDED_BY(mutex_);
};

// What is still to be sent to one watcher.
class Watcher : public JobWatcher {
 public:
  void OnHistory() override { news_.Notify(); }
  void OnProgress(const JobEvent& event) override {
    {
      absl::MutexLock lock(&mutex_);
      progress_ = event;
    }
    news_.Notify();
  }
  // Waits until there is news or `timeout` has passed. Returns the newest progress, if it is new.
  std::optional<JobEvent> Wait(absl::Duration timeout) {
    (void)news_.WaitFor(timeout);
    news_.Reset();
    absl::MutexLock lock(&mutex_);
    return std::exchange(progress_, std::nullopt);
  }

 private:
  Event news_;
  absl::Mutex mutex_;
  std::optional<JobEvent> progress_ ABSL_GUARDED_BY(mutex_);
};

// Sends the history after `after`, then new events, until the job is over or the client leaves.
absl::Status SendEvents(SchedulerNode* node, JobId job, uint64_t after, Watcher* watcher,
                        grpc::ServerContext* context, grpc::ServerWriter<JobEvent>* writer) {
  while (!context->IsCancelled()) {
    const auto read = node->ReadEvents(job, after);
    if (!read.ok()) return read.status();
    if (read->last) return absl::OkStatus();
    for (const JobEvent& event : read->events) {
      if (!writer->Write(event)) return absl::CancelledError("the client has left");
      after = event.sequence();
    }
    if (!read->events.empty()) continue;
    const auto progress = watcher->Wait(kWatchPoll);
    if (progress && !writer->Write(*progress)) break;
  }
  return absl::CancelledError("the client has left");
}

absl::Status CheckJob(uint64_t job) {
  return job == 0 ? absl::InvalidArgumentError("job: expected the number of a job, got 0") : absl::OkStatus();
}

}  // namespace

// ---- nodes ----

grpc::Status SchedulerServiceImpl::Join(grpc::ServerContext*, const JoinRequest* request,
                                        JoinResponse* response) noexcept {
  auto joined = node_->Join(*request);
  if (!joined.ok()) return ToGrpcStatus(joined.status());
  *response = *std::move(joined);
  return grpc::Status::OK;
}

grpc::ServerBidiReactor<NodeReport, Directive>* SchedulerServiceImpl::Session(
    grpc::CallbackServerContext* context) noexcept {
  return new SessionReactor(node_, context);
}

grpc::Status SchedulerServiceImpl::PutArtifact(grpc::ServerContext*,
                                               grpc::ServerReader<ArtifactChunk>* reader,
                                               PutArtifactResponse*) noexcept {
  return ToGrpcStatus(
      ReceiveArtifact(&node_->artifacts(), [&](ArtifactChunk* chunk) { return reader->Read(chunk); }));
}

grpc::Status SchedulerServiceImpl::GetArtifact(grpc::ServerContext*, const GetArtifactRequest* request,
                                               grpc::ServerWriter<ArtifactChunk>* writer) {
  ArtifactChunks chunks(request->sha256());
  return ToGrpcStatus(node_->SendArtifact(request->sha256(), [&](uint64_t bytes, absl::string_view piece) {
    return writer->Write(chunks.Next(bytes, piece));
  }));
}

// ---- users ----

grpc::Status SchedulerServiceImpl::SubmitJob(grpc::ServerContext*, const SubmitJobRequest* request,
                                             SubmitJobResponse* response) noexcept {
  const auto job = node_->Submit(*request);
  if (job.ok()) response->set_job(job->value());
  return ToGrpcStatus(job.status());
}

grpc::Status SchedulerServiceImpl::CancelJob(grpc::ServerContext*, const CancelJobRequest* request,
                                             CancelJobResponse*) noexcept {
  const absl::Status status = CheckJob(request->job());
  return ToGrpcStatus(status.ok() ? node_->Cancel(JobId(request->job())) : status);
}

grpc::Status SchedulerServiceImpl::GetJob(grpc::ServerContext*, const GetJobRequest* request, Job* response) {
  const absl::Status status = CheckJob(request->job());
  if (!status.ok()) return ToGrpcStatus(status);
  auto job = node_->GetJob(JobId(request->job()));
  if (!job.ok()) return ToGrpcStatus(job.status());
  *response = *std::move(job);
  return grpc::Status::OK;
}

grpc::Status SchedulerServiceImpl::ListJobs(grpc::ServerContext*, const ListJobsRequest* request,
                                            ListJobsResponse* response) {
  auto jobs = node_->ListJobs(JobId(request->after()));
  if (!jobs.ok()) return ToGrpcStatus(jobs.status());
  *response = *std::move(jobs);
  return grpc::Status::OK;
}

grpc::Status SchedulerServiceImpl::WatchJob(grpc::ServerContext* context, const WatchJobRequest* request,
                                            grpc::ServerWriter<JobEvent>* writer) {
  absl::Status status = CheckJob(request->job());
  if (!status.ok()) return ToGrpcStatus(status);
  const JobId job(request->job());
  Watcher watcher;
  const auto after = node_->Watch(job, request->after_sequence(), &watcher);
  if (!after.ok()) return ToGrpcStatus(after.status());
  status = SendEvents(node_, job, *after, &watcher, context, writer);
  node_->Unwatch(job, &watcher);
  return ToGrpcStatus(status);
}

grpc::Status SchedulerServiceImpl::GetStatus(grpc::ServerContext*, const GetStatusRequest*,
                                             ClusterStatus* response) {
  auto status = node_->GetStatus();
  if (!status.ok()) return ToGrpcStatus(status.status());
  *response = *std::move(status);
  return grpc::Status::OK;
}

}  // namespace shoal::scheduler
