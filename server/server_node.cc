#include "server/server_node.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/status.h"
#include "spdlog/spdlog.h"

namespace shoal::server {
namespace {

// How long the weights may take, with all attempts: the scheduler may be restarting.
constexpr absl::Duration kArtifactPatience = absl::Minutes(10);

}  // namespace

ServerNode::ServerNode(Options options)
    : options_(std::move(options)),
      artifacts_(options_.env, JoinPath(options_.work_dir, "artifacts"), options_.channel) {}

void ServerNode::Join(SessionOptions session) {
  SessionCallbacks callbacks;
  callbacks.on_joined = [](const JoinResponse&) {};
  callbacks.on_session_opened = [this] { OnSessionOpened(); };
  callbacks.on_directive = [this](const Directive& directive) { OnDirective(directive); };
  callbacks.on_lease_lost = [this] { DropJob(); };
  absl::MutexLock lock(&mutex_);  // callbacks wait until session_ is set
  session_ = std::make_unique<SessionClient>(std::move(session), std::move(callbacks));
}

ServerNode::~ServerNode() {
  if (session_ != nullptr) session_->Stop();
  DropJob();
}

absl::StatusOr<std::shared_ptr<ServerJob>> ServerNode::Find(JobId job) {
  absl::MutexLock lock(&mutex_);
  if (job_ == nullptr || job_->id() != job) {
    return absl::FailedPreconditionError(absl::StrCat("job ", job.value(), " does not run on this server"));
  }
  return job_;
}

// ---- session (its thread) ----

void ServerNode::OnSessionOpened() {
  std::shared_ptr<ServerJob> job;
  {
    absl::MutexLock lock(&mutex_);
    job = job_;
  }
  if (job == nullptr) return;
  ReportPrepared(job->id());
  job->OnSessionOpened();
}

void ServerNode::OnDirective(const Directive& directive) {
  if (directive.has_prepare_job()) return Prepare(directive.prepare_job());
  if (directive.has_close_job()) {
    const auto job = Find(JobId(directive.close_job().job()));
    if (job.ok()) DropJob();
    return;
  }
  if (!directive.has_view()) return;
  const auto job = Find(JobId(directive.view().job()));
  if (job.ok()) (*job)->Install(directive.view());
}

void ServerNode::Prepare(const PrepareJob& request) {
  const JobId id(request.job());
  if (Find(id).ok()) return ReportPrepared(id);
  DropJob();
  auto job = MakeShardJob(id, request.spec(), request.plan());
  if (!job.ok()) {
    spdlog::error("Job {}: {}", id.value(), job.status().ToString());
    NodeReport report;
    report.mutable_job_refused()->set_job(id.value());
    report.mutable_job_refused()->set_reason(std::string(job.status().message()));
    report.mutable_job_refused()->set_fatal(true);
    return session_->Send(std::move(report));
  }
  ServerJob::Options options;
  options.self = NodeId(session_->node_id());
  options.threads = options_.threads;
  options.checkpoint_dir = request.checkpoint_dir();
  options.env = options_.env;
  options.report = [this](NodeReport report) { session_->Send(std::move(report)); };
  options.fetch = [this](const Artifact& artifact) {
    return artifacts_.Fetch(artifact, absl::Now() + kArtifactPatience);
  };
  auto made = std::make_shared<ServerJob>(std::move(options), *std::move(job));
  spdlog::info("Job {}: {} blocks in all", id.value(), made->job().blocks.size());
  {
    absl::MutexLock lock(&mutex_);
    job_ = std::move(made);
  }
  ReportPrepared(id);
}

void ServerNode::ReportPrepared(JobId job) {
  NodeReport report;
  report.mutable_job_prepared()->set_job(job.value());
  session_->Send(std::move(report));
}

void ServerNode::DropJob() {
  std::shared_ptr<ServerJob> dropped;
  absl::MutexLock lock(&mutex_);
  dropped.swap(job_);
  mutex_.Unlock();
  if (dropped != nullptr) dropped->Close();
  dropped.reset();  // the last of its streams may outlive this
  mutex_.Lock();
}

}  // namespace shoal::server
