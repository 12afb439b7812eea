#include "worker/worker_node.h"

#include <map>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/blocks.h"
#include "common/job_plan_check.h"
#include "common/job_spec.h"
#include "common/status.h"
#include "common/timer_queue.h"
#include "spdlog/spdlog.h"
#include "worker/grpc_link.h"

namespace shoal::worker {
namespace {

// How long artifacts may take, with all attempts: the scheduler may be restarting.
constexpr absl::Duration kArtifactPatience = absl::Minutes(10);

std::vector<uint64_t> BlockElements(const std::vector<uint64_t>& group_sizes) {
  std::vector<uint64_t> elements;
  for (const BlockSpec& block : CutBlocks(group_sizes)) elements.push_back(block.size);
  return elements;
}

}  // namespace

WorkerNode::WorkerNode(Options options, std::unique_ptr<ProgramBuilder> builder)
    : options_(std::move(options)),
      builder_(std::move(builder)),
      artifacts_(options_.env, JoinPath(options_.work_dir, "artifacts"), options_.session.channel) {
  SessionCallbacks callbacks;
  callbacks.on_joined = [](const JoinResponse&) {};
  callbacks.on_session_opened = [this] { OnSessionOpened(); };
  callbacks.on_directive = [this](const Directive& directive) { OnDirective(directive); };
  callbacks.on_lease_lost = [this] { DropJob(); };
  preparer_ = std::thread([this] { RunPreparations(); });
  absl::MutexLock lock(&mutex_);  // callbacks wait until session_ is set
  session_ = std::make_unique<SessionClient>(options_.session, std::move(callbacks));
}

WorkerNode::~WorkerNode() {
  session_->Stop();
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  preparer_.join();
  DropJob();
}

// ---- session (its thread) ----

void WorkerNode::OnDirective(const Directive& directive) {
  if (directive.has_close_job()) return CloseJob(directive.close_job().job());
  absl::MutexLock lock(&mutex_);
  if (directive.has_prepare_job() && choice_.OnPrepare(directive.prepare_job())) ReportPrepared();
  // Views and targets of other jobs are old news.
  if (directive.has_view() && choice_.Holds(directive.view().job())) worker_->OnView(directive.view());
  if (directive.has_target() && choice_.Holds(directive.target().job()))
    worker_->OnTarget(directive.target());
}

void WorkerNode::OnSessionOpened() {
  absl::MutexLock lock(&mutex_);
  if (!choice_.held()) return;
  ReportPrepared();
  worker_->OnSessionOpened();
}

void WorkerNode::ReportPrepared() {
  NodeReport report;
  *report.mutable_job_prepared() = *choice_.held();
  session_->Send(std::move(report));
}

void WorkerNode::CloseJob(uint64_t job) {
  std::unique_ptr<JobWorker> dropped;  // destroyed without the lock: it waits for the runner
  absl::MutexLock lock(&mutex_);
  if (!choice_.OnClose(job)) return;
  dropped.swap(worker_);
  mutex_.Unlock();
  dropped.reset();
  mutex_.Lock();
}

void WorkerNode::DropJob() {
  std::unique_ptr<JobWorker> dropped;
  absl::MutexLock lock(&mutex_);
  choice_.Clear();
  dropped.swap(worker_);
  mutex_.Unlock();
  dropped.reset();
  mutex_.Lock();
}

// ---- preparation (its thread) ----

void WorkerNode::RunPreparations() {
  const auto wanted = [this]()
                          ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return stopping_ || choice_.wanted(); };
  while (true) {
    PrepareJob request;
    std::unique_ptr<JobWorker> former;
    {
      absl::MutexLock lock(&mutex_);
      mutex_.Await(absl::Condition(&wanted));
      if (stopping_) return;
      request = *choice_.wanted();
      choice_.DropHeld();
      former.swap(worker_);
    }
    former.reset();
    Prepare(request);
  }
}

void WorkerNode::Prepare(const PrepareJob& request) {
  spdlog::info("Preparing job {} ({})", request.job(),
               request.derive() ? "deriving its plan" : "from its plan");
  absl::StatusOr<PreparedJob> made = MakeJob(request);
  absl::MutexLock lock(&mutex_);
  if (stopping_ || !choice_.Wants(request)) return;
  if (!made.ok()) {
    choice_.OnFailed();
    return Refuse(JobId(request.job()), made.status(), request.derive());
  }
  choice_.OnPrepared(made->prepared);
  worker_ = std::move(made->worker);
  spdlog::info("Job {} is prepared", request.job());
  ReportPrepared();
}

absl::StatusOr<WorkerNode::PreparedJob> WorkerNode::MakeJob(const PrepareJob& request) {
  PreparedJob made;
  made.prepared.set_job(request.job());
  JobPlan plan = request.plan();
  if (request.derive()) {
    SHOAL_RETURN_IF_ERROR(ValidateJob(request.spec()));
    SHOAL_ASSIGN_OR_RETURN(plan, DerivePlan(request.spec()));
    *made.prepared.mutable_plan() = plan;
  }
  SHOAL_RETURN_IF_ERROR(CheckPlan(request.spec(), plan));
  SHOAL_ASSIGN_OR_RETURN(made.worker, MakeWorker(JobId(request.job()), request.spec(), plan));
  return made;
}

absl::StatusOr<JobPlan> WorkerNode::DerivePlan(const JobSpec& spec) {
  SHOAL_ASSIGN_OR_RETURN(DerivedJob derived, builder_->Derive(spec));
  for (const auto& [name, bytes] : derived.artifacts) {
    SHOAL_ASSIGN_OR_RETURN(*derived.plan.add_artifacts(),
                           artifacts_.Put(name, bytes, absl::Now() + kArtifactPatience));
  }
  return std::move(derived.plan);
}

absl::StatusOr<std::unique_ptr<JobWorker>> WorkerNode::MakeWorker(JobId job, const JobSpec& spec,
                                                                  const JobPlan& plan) {
  std::map<std::string, std::string> files;
  for (const Artifact& artifact : plan.artifacts()) {
    SHOAL_ASSIGN_OR_RETURN(files[artifact.name()],
                           artifacts_.Fetch(artifact, absl::Now() + kArtifactPatience));
  }
  SHOAL_ASSIGN_OR_RETURN(std::unique_ptr<Program> program, builder_->Build(spec, plan, files));
  JobWorker::Options options;
  WorkerRounds::Options& rounds = options.rounds;
  rounds.job = job;
  rounds.self = NodeId(session_->node_id());
  rounds.slots = spec.train().slots();
  rounds.wire = spec.train().wire();
  rounds.group_sizes.assign(plan.group_sizes().begin(), plan.group_sizes().end());
  rounds.report = [this](NodeReport report) { session_->Send(std::move(report)); };
  SHOAL_RETURN_IF_ERROR(WorkerRounds::Check(rounds));
  options.executors = NewThreadExecutor;
  GrpcLink::Options link;
  link.job = job;
  link.wire = rounds.wire;
  link.block_elements = BlockElements(rounds.group_sizes);
  link.backoff_seed = rounds.self.value();
  return std::make_unique<JobWorker>(
      std::move(options), std::move(program),
      [link](ParameterLinkEvents* events) { return std::make_unique<GrpcLink>(link, events); });
}

void WorkerNode::Refuse(JobId job, const absl::Status& status, bool deriving) {
  spdlog::error("Can't take part in job {}: {}", job.value(), status.ToString());
  NodeReport report;
  report.mutable_job_refused()->set_job(job.value());
  report.mutable_job_refused()->set_reason(std::string(status.message()));
  // What one machine finds in spec and data, all find.
  report.mutable_job_refused()->set_fatal(deriving &&
                                          (absl::IsInvalidArgument(status) || absl::IsNotFound(status)));
  session_->Send(std::move(report));
}

}  // namespace shoal::worker
