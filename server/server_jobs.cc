#include "server/server_jobs.h"

#include <new>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/large_memory.h"
#include "common/base/log.h"
#include "common/base/status.h"
#include "common/protocol/queue_length.h"
#include "common/protocol/same_message.h"

namespace shoal::server {

ServerJobs::ServerJobs(Options options)
    : options_(std::move(options)), owner_(options_.executors), refusals_(options_.report) {}

ServerJobs::~ServerJobs() { DropJob(); }

absl::StatusOr<std::shared_ptr<ShardHost>> ServerJobs::Find(JobId job) const {
  absl::MutexLock lock(&mutex_);
  if (job_ == nullptr || job_->id() != job) {
    return absl::FailedPreconditionError(absl::StrCat("job ", job.value(), " does not run on this server"));
  }
  return job_;
}

Heartbeat ServerJobs::MakeHeartbeat() const {
  std::shared_ptr<ShardHost> job;
  Heartbeat heartbeat;
  {
    absl::MutexLock lock(&mutex_);
    job = job_;
    if (held_up_.job() != 0) *heartbeat.add_activities() = held_up_;
  }
  if (job != nullptr) heartbeat = job->MakeHeartbeat();
  AddQueue("former jobs", owner_.former(), kMaxFormerJobs, heartbeat.mutable_queues());
  return heartbeat;
}

void ServerJobs::OnJoined(NodeId self) { self_ = self; }

void ServerJobs::OnSessionOpened() {
  refusals_.OnSessionOpened();
  std::shared_ptr<ShardHost> job;
  {
    absl::MutexLock lock(&mutex_);
    job = job_;
  }
  if (job == nullptr) return;
  ReportPrepared(job->id());
  job->OnSessionOpened();
}

void ServerJobs::OnLeaseLost() {
  refusals_.OnLeaseLost();
  DropJob();
}

void ServerJobs::OnDirective(const Directive& directive) {
  if (directive.has_prepare_job()) return Prepare(directive.prepare_job());
  if (directive.has_close_job()) {
    refusals_.OnCloseJob(JobId(directive.close_job().job()));
    const auto job = Find(JobId(directive.close_job().job()));
    if (job.ok()) DropJob();
    return;
  }
  if (directive.has_view()) Install(directive.view());
}

// A view of another training, or one older than this job's (the scheduler's store was replaced), belongs to
// another job, even though number and preparation are the same: nothing of this job may leak into it.
void ServerJobs::Install(const View& view) {
  if (refusals_.IsOutdated(view)) return;
  const auto job = Find(JobId(view.job()));
  if (!job.ok()) return RefuseAbsent(JobId(view.job()), job.status());
  const absl::Status status = (*job)->Install(view);
  if (status.ok()) return;
  DropJob();
  Refuse(JobId(view.job()), status, absl::IsOutOfRange(status) ? view.training_id() : 0);
}

void ServerJobs::Prepare(const PrepareJob& request) {
  const JobId id(request.job());
  refusals_.OnPrepareJob(id);
  // The number alone is not enough: another cluster numbers its own jobs from the start.
  const bool same = SameMessage(prepared_, request);
  if (same && Find(id).ok()) return ReportPrepared(id);
  DropJob();
  prepared_ = request;
  // No answer, so it will be offered again; a refusal would blame this job for the other jobs' disk.
  if (const size_t former = owner_.former(); former >= kMaxFormerJobs) return HoldUp(id, former);
  auto job = MakeShardConfig(id, request.spec(), request.plan(), options_.max_block_elements);
  if (!job.ok()) return Refuse(id, job.status());
  ShardHost::Options options;
  options.self = self_;
  options.threads = options_.threads;
  options.checkpoint_dir = request.checkpoint_dir();
  options.env = options_.env;
  options.executors = options_.executors;
  options.peers = options_.peers;
  options.report = options_.report;
  options.fetch = options_.fetch;
  std::shared_ptr<ShardHost> made;
  try {
    made = owner_.Own(std::make_unique<ShardHost>(std::move(options), *std::move(job)));
  } catch (const std::bad_alloc& error) {
    return Refuse(id, NotEnoughMemory(error, "the job"));
  }
  LogInfo("Job ", id.value(), ": ", made->job().blocks.size(), " blocks in all");
  {
    absl::MutexLock lock(&mutex_);
    job_ = std::move(made);
  }
  ReportPrepared(id);
}

void ServerJobs::HoldUp(JobId job, size_t former) {
  const std::string why =
      absl::StrCat("waits for ", former,
                   " former jobs to release their memory: the disk with their checkpoints "
                   "does not respond");
  LogError("Job ", job.value(), " ", why);
  absl::MutexLock lock(&mutex_);
  held_up_.set_kind(ACTIVITY_PREPARE);
  held_up_.set_job(job.value());
  held_up_.set_detail(why);
}

void ServerJobs::ReportPrepared(JobId job) {
  NodeReport report;
  report.mutable_job_prepared()->set_job(job.value());
  options_.report(std::move(report));
}

// The scheduler believes that the job is here, and would wait for the view to be installed. One refusal
// answers all views that it sends before it knows.
void ServerJobs::RefuseAbsent(JobId job, const absl::Status& status) {
  if (!refusals_.HasRefused(job)) Refuse(job, status);
}

void ServerJobs::Refuse(JobId job, const absl::Status& status, uint64_t outdated_training) {
  LogError("Job ", job.value(), ": ", status.ToString());
  JobRefused refused;
  refused.set_job(job.value());
  refused.set_reason(std::string(status.message()));
  refused.set_fatal(absl::IsInvalidArgument(status));
  refused.set_outdated_training(outdated_training);
  refusals_.Refuse(refused);
}

void ServerJobs::DropJob() {
  std::shared_ptr<ShardHost> dropped;
  {
    absl::MutexLock lock(&mutex_);
    held_up_.Clear();
    dropped.swap(job_);
  }
  if (dropped != nullptr) dropped->Close();
}

}  // namespace shoal::server
