#include "worker/worker_jobs.h"

#include <map>
#include <new>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/large_memory.h"
#include "common/base/log.h"
#include "common/base/status.h"
#include "common/job/artifact_names.h"
#include "common/job/job_plan_check.h"
#include "common/job/job_spec.h"
#include "common/protocol/queue_length.h"

namespace shoal::worker {
namespace {

// A former job that takes longer than this to end is logged.
constexpr absl::Duration kUsualSlotTime = absl::Seconds(10);

}  // namespace

WorkerJobs::WorkerJobs(Options options)
    : options_(std::move(options)),
      refusals_(options_.report),
      preparer_(options_.executors("preparer")),
      watch_(options_.executors("watch")) {}

WorkerJobs::~WorkerJobs() {
  Stop([] {});
  watch_->Stop();
  preparer_->Stop();  // drops what is queued, including a former runner, and so waits for it
}

void WorkerJobs::Stop(std::function<void()> stopped) {
  absl::MutexLock lock(&mutex_);
  stopping_ = true;
  choice_.Clear();
  DropRunner();
  preparer_->Post(std::move(stopped));
}

std::string WorkerJobs::Busy() const {
  absl::MutexLock lock(&mutex_);
  if (task_) return absl::StrCat("job ", task_->job, ": ", task_->what);
  return retired_ < retirements_ ? retiring_ : "";
}

// ---- session ----

void WorkerJobs::OnJoined(NodeId self) {
  absl::MutexLock lock(&mutex_);
  self_ = self;
}

void WorkerJobs::OnSessionOpened() {
  absl::MutexLock lock(&mutex_);
  refusals_.OnSessionOpened();
  if (!choice_.held()) return;
  ReportPrepared();
  runner_->OnSessionOpened();
}

void WorkerJobs::OnDirective(const Directive& directive) {
  absl::MutexLock lock(&mutex_);
  if (stopping_) return;
  if (directive.has_prepare_job()) {
    refusals_.OnPrepareJob(JobId(directive.prepare_job().job()));
    if (choice_.OnPrepare(directive.prepare_job())) return ReportPrepared();
    if (!under_way_ || !choice_.Wants(*under_way_)) PostPreparation();
  } else if (directive.has_close_job()) {
    refusals_.OnCloseJob(JobId(directive.close_job().job()));
    if (choice_.OnClose(directive.close_job().job())) DropRunner();
  } else if (directive.has_view()) {
    OnView(directive.view());
  } else if (directive.has_target()) {
    // One of another job: its view was refused, or will come again with the target.
    if (choice_.Holds(directive.target().job())) OnTarget(directive.target());
  }
}

// A target only grows while the restore point stays the same: the verdict that moves it is stored first.
absl::Status WorkerJobs::CheckTarget(const Target& target) const {
  const Target& held = view_.target();
  if (target.restore_id() != held.restore_id() || target.version() >= held.version()) return absl::OkStatus();
  return absl::OutOfRangeError(absl::StrCat("got target version ", target.version(), " after target version ",
                                            held.version(), ": the scheduler's store is an older copy"));
}

void WorkerJobs::OnView(const View& view) {
  if (refusals_.IsOutdated(view)) return;
  if (!choice_.Holds(view.job())) return RefuseAbsent(JobId(view.job()));
  absl::Status status = CheckSuccessor(view, view_);
  if (status.ok()) status = CheckTarget(view.target());
  if (!status.ok()) return LeaveJob(status);
  view_ = view;
  runner_->OnView(view);
}

void WorkerJobs::OnTarget(const Target& target) {
  const absl::Status status = CheckTarget(target);
  if (!status.ok()) return LeaveJob(status);
  *view_.mutable_target() = target;
  runner_->OnTarget(target);
}

// The scheduler believes that the job is here, and would wait for its slots. A job that is being prepared
// will be reported, and its view sent again. One refusal answers all views that are sent before the scheduler
// knows.
void WorkerJobs::RefuseAbsent(JobId job) {
  if (refusals_.HasRefused(job) || (choice_.wanted() && JobId(choice_.wanted()->job()) == job)) return;
  Refuse(job,
         absl::FailedPreconditionError(absl::StrCat("job ", job.value(), " does not run on this worker")),
         JobRefused());
}

// A view or target of another training, or older than an earlier one, belongs to a job with the same number
// and spec, but from another store: nothing of this job may get into it. The scheduler offers it again.
void WorkerJobs::LeaveJob(const absl::Status& status) {
  const ViewKey view = KeyOf(view_);
  choice_.DropHeld();
  DropRunner();
  JobRefused refused;
  if (absl::IsOutOfRange(status)) refused.set_outdated_training(view.training.value());
  Refuse(view.job, status, std::move(refused));
}

void WorkerJobs::OnLeaseLost() {
  absl::MutexLock lock(&mutex_);
  refusals_.OnLeaseLost();
  choice_.Clear();
  under_way_.reset();  // the next lease may be of another cluster: nothing begun before answers it
  DropRunner();
}

void WorkerJobs::ReportPrepared() {
  NodeReport report;
  *report.mutable_job_prepared() = *choice_.held();
  options_.report(std::move(report));
}

Heartbeat WorkerJobs::MakeHeartbeat() const {
  Heartbeat heartbeat;
  absl::MutexLock lock(&mutex_);
  const auto add = [&](ActivityKind kind, uint64_t job, absl::Time since, absl::string_view detail) {
    Activity& activity = *heartbeat.add_activities();
    activity.set_kind(kind);
    activity.set_job(job);
    activity.set_idle_seconds(absl::ToDoubleSeconds(watch_->Now() - since));
    activity.set_detail(std::string(detail));
  };
  if (choice_.wanted() && (!under_way_ || !choice_.Wants(*under_way_)))
    add(ACTIVITY_PREPARE, choice_.wanted()->job(), asked_, "waits for the previous job to end");
  if (task_) add(task_->kind, task_->job, task_->progress, task_->what);
  if (runner_ != nullptr) runner_->AddTo(&heartbeat);
  AddQueue("former jobs", retirements_ - retired_, kMaxFormerJobs, heartbeat.mutable_queues());
  return heartbeat;
}

// ---- former jobs ----

void WorkerJobs::DropRunner() {
  if (runner_ == nullptr) return;
  view_ = View();
  retiring_ = runner_->Cancel();
  std::shared_ptr<JobRunner> runner = std::move(runner_);
  const uint64_t retirement = ++retirements_;
  preparer_->Post([this, runner, retirement]() mutable {
    runner.reset();
    absl::MutexLock lock(&mutex_);
    retired_ = retirement;
  });
  watch_->After(kUsualSlotTime, [this, retirement] {
    absl::MutexLock lock(&mutex_);
    if (retired_ < retirement) LogWarning("Waiting for the previous job to end: ", retiring_);
  });
}

void WorkerJobs::PostPreparation() {
  choice_.DropHeld();
  DropRunner();
  const uint64_t preparation = ++preparations_;
  asked_ = watch_->Now();
  watch_->After(kMaxWaitForFormerJob, [this, preparation] { CheckStarted(preparation); });
  if (std::exchange(posted_, true)) return;
  preparer_->Post([this] { PrepareWanted(); });
}

void WorkerJobs::CheckStarted(uint64_t preparation) {
  const std::string busy = Busy();
  {
    absl::MutexLock lock(&mutex_);
    if (stopping_ || started_ >= preparation || !choice_.wanted()) return;
  }
  options_.on_stuck(absl::DeadlineExceededError(
      absl::StrCat("the previous job has not ended within ", absl::FormatDuration(kMaxWaitForFormerJob), " (",
                   busy, "), and its memory can't be freed: this process has to be restarted")));
}

// ---- preparer ----

void WorkerJobs::PrepareWanted() {
  while (true) {
    PrepareJob request;
    {
      absl::MutexLock lock(&mutex_);
      under_way_ = choice_.wanted();
      posted_ = under_way_.has_value();
      if (!posted_) return;
      started_ = preparations_;
      request = *under_way_;
    }
    LogInfo("Preparing job ", request.job(), " (", (request.derive() ? "deriving its plan" : "from its plan"),
            ")");
    bool differs = false;
    const absl::StatusOr<bool> has_data = HasData(request, &differs);
    absl::StatusOr<PreparedJob> made = has_data.ok() ? MakeOrExplain(request) : has_data.status();
    if (made.ok()) made->prepared.set_has_data(*has_data);
    absl::MutexLock lock(&mutex_);
    task_.reset();
    const bool same_lease = std::exchange(under_way_, std::nullopt).has_value();
    if (!same_lease || !choice_.Wants(request)) continue;
    const absl::Status status = made.ok() ? Hold(request, *std::move(made)) : made.status();
    if (status.ok()) {
      // A job that is wanted from now on gets a task of its own, behind the one that destroys this runner.
      posted_ = false;
      return;
    }
    choice_.OnFailed();
    // A machine that lacks the data says nothing about the others; an error in spec and data occurs on every
    // machine that has the same.
    JobRefused refused;
    refused.set_fatal(request.derive() && absl::IsInvalidArgument(status));
    refused.set_differs(differs);
    Refuse(JobId(request.job()), status, std::move(refused));
  }
}

absl::Status WorkerJobs::Hold(const PrepareJob& request, PreparedJob made) {
  made.rounds.self = self_;  // the node may have joined again since the preparation began
  try {
    runner_ = options_.make_runner(std::move(made.rounds), std::move(made.program));
  } catch (const std::bad_alloc& error) {
    return NotEnoughMemory(error, "the job");
  }
  choice_.OnPrepared(request, made.prepared);
  LogInfo("Job ", made.prepared.job(), " is prepared");
  ReportPrepared();
  return absl::OkStatus();
}

absl::StatusOr<bool> WorkerJobs::HasData(const PrepareJob& request, bool* differs) {
  if (request.derive()) return true;  // or it can't derive
  const Progress progress = Begin(ACTIVITY_PREPARE, request.job(), "compares the job's data");
  auto has_data = options_.builder->HasData(request.plan(), progress);
  *differs = absl::IsFailedPrecondition(has_data.status());
  return has_data;
}

absl::StatusOr<WorkerJobs::PreparedJob> WorkerJobs::MakeOrExplain(const PrepareJob& request) {
  try {
    return Make(request);
  } catch (const std::bad_alloc& error) {
    return NotEnoughMemory(error, "the job");
  }
}

absl::StatusOr<WorkerJobs::PreparedJob> WorkerJobs::Make(const PrepareJob& request) {
  PreparedJob made;
  made.prepared.set_job(request.job());
  JobPlan plan = request.plan();
  if (request.derive()) {
    SHOAL_RETURN_IF_ERROR(ValidateJob(request.spec()));
    SHOAL_ASSIGN_OR_RETURN(plan, DerivePlan(request));
    *made.prepared.mutable_plan() = plan;
  }
  SHOAL_RETURN_IF_ERROR(CheckPlan(request.spec(), plan));
  const Progress progress = Begin(ACTIVITY_PREPARE, request.job(), "fetches artifacts");
  std::map<std::string, std::string> files;
  std::vector<Artifact> wanted;
  for (const Artifact& artifact : plan.artifacts()) {
    if (IsForWorkers(artifact.name())) wanted.push_back(artifact);
  }
  options_.artifacts->MakeRoom(wanted);
  for (const Artifact& artifact : wanted) {
    SHOAL_ASSIGN_OR_RETURN(files[artifact.name()], options_.artifacts->Fetch(artifact, progress));
  }
  WorkerRounds::Options& rounds = made.rounds;
  rounds.job = JobId(request.job());
  rounds.slots = request.spec().train().slots();
  rounds.wire = request.spec().train().wire();
  rounds.averages = request.spec().optimizer().ema_decay() > 0;
  rounds.skips_not_finite = request.spec().optimizer().skip_not_finite();
  rounds.group_sizes.assign(plan.group_sizes().begin(), plan.group_sizes().end());
  rounds.max_block_elements = options_.max_block_elements;
  rounds.report = options_.report;
  SHOAL_ASSIGN_OR_RETURN(made.program, options_.builder->Build(request.spec(), plan, files, progress));
  return made;
}

absl::StatusOr<JobPlan> WorkerJobs::DerivePlan(const PrepareJob& request) {
  const Progress progress = Begin(ACTIVITY_DERIVE, request.job(), "reads the job's data");
  SHOAL_ASSIGN_OR_RETURN(DerivedJob derived, options_.builder->Derive(request.spec(), progress));
  for (const auto& [name, bytes] : derived.artifacts) {
    SHOAL_ASSIGN_OR_RETURN(*derived.plan.add_artifacts(), options_.artifacts->Put(name, bytes, progress));
  }
  return std::move(derived.plan);
}

Progress WorkerJobs::Begin(ActivityKind kind, uint64_t job, absl::string_view what) {
  absl::MutexLock lock(&mutex_);
  task_ = Task{kind, job, std::string(what), watch_->Now()};
  return [this](absl::string_view now) {
    absl::MutexLock lock(&mutex_);
    if (!task_) return;
    task_->what = std::string(now);
    task_->progress = watch_->Now();
  };
}

void WorkerJobs::Refuse(JobId job, const absl::Status& status, JobRefused refused) {
  LogError("Refusing job ", job.value(), ": ", status.ToString());
  refused.set_job(job.value());
  refused.set_reason(refused.fatal()
                         ? std::string(status.message())
                         : absl::StrCat(absl::string_view(status.message()), " (", options_.place, ")"));
  refusals_.Refuse(refused);
}

}  // namespace shoal::worker
