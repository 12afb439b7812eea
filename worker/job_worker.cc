#include "worker/job_worker.h"

#include <new>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/large_memory.h"
#include "common/base/log.h"
#include "common/protocol/queue_length.h"

namespace shoal::worker {
JobWorker::JobWorker(Options options, std::unique_ptr<Program> program, const LinkFactory& make_link)
    : options_(std::move(options)),
      program_(std::move(program)),
      runner_(options_.executors("runner")),
      link_(make_link(this)),
      rounds_(options_.rounds, link_.get()) {}

JobWorker::~JobWorker() {
  Cancel();
  runner_->Stop();
  link_.reset();  // events that still arrive don't touch it, because of stopping_
}

std::string JobWorker::Cancel() {
  absl::MutexLock lock(&mutex_);
  if (!std::exchange(stopping_, true)) link_->Disconnect();
  changed_.SignalAll();
  return busy_ && running_ ? absl::StrCat("job ", options_.rounds.job.value(), ", ", TextOf(*running_)) : "";
}

// ---- events ----

void JobWorker::OnView(const View& view) {
  absl::MutexLock lock(&mutex_);
  if (stopping_) return;
  const absl::Status status = rounds_.OnView(view);
  if (!status.ok()) {
    LogError(status.message());
    NodeReport report;
    report.mutable_job_refused()->set_job(options_.rounds.job.value());
    report.mutable_job_refused()->set_reason(std::string(status.message()));
    options_.rounds.report(std::move(report));
  }
  Changed();
}

void JobWorker::OnTarget(const Target& target) {
  absl::MutexLock lock(&mutex_);
  if (stopping_) return;
  rounds_.OnTarget(target);
  Changed();
}

void JobWorker::OnSessionOpened() {
  absl::MutexLock lock(&mutex_);
  if (stopping_) return;
  rounds_.OnSessionOpened();
  Changed();
}

void JobWorker::OnVersions(ViewId view, uint32_t shard, Version lowest) {
  absl::MutexLock lock(&mutex_);
  if (stopping_) return;
  rounds_.OnVersions(view, shard, lowest);
  Changed();
}

void JobWorker::OnOutOfRange(ViewId view) {
  absl::MutexLock lock(&mutex_);
  if (stopping_) return;
  rounds_.OnOutOfRange(view);
  Changed();
}

Version JobWorker::PullFrom() {
  absl::MutexLock lock(&mutex_);
  return rounds_.PullFrom();
}

void JobWorker::OnPushReopened(ViewId view, uint32_t shard) {
  absl::MutexLock lock(&mutex_);
  if (!stopping_) rounds_.OnPushReopened(view, shard);
}

ViewKey JobWorker::key() const {
  absl::MutexLock lock(&mutex_);
  return rounds_.key();
}

bool JobWorker::OnBlock(const PublishedHeader& header, const BlockStore& store) {
  BlockMemory memory;
  {
    absl::MutexLock lock(&mutex_);
    if (stopping_) return true;
    const WorkerCore::Offer offer = rounds_.OfferBlock(header, &memory);
    if (offer == WorkerCore::Offer::kWait) return false;
    if (offer == WorkerCore::Offer::kDrop) return true;
  }
  store(memory);
  absl::MutexLock lock(&mutex_);
  if (stopping_) return true;
  rounds_.BlockStored(header);
  Changed();
  return true;
}

void JobWorker::AddTo(Heartbeat* heartbeat) const {
  absl::MutexLock lock(&mutex_);
  if (stopping_) return;
  link_->AddTo(heartbeat);
  AddQueue("held contributions", rounds_.held(), rounds_.max_held(), heartbeat->mutable_queues());
  if (!running_) return;
  Activity& activity = *heartbeat->add_activities();
  activity.set_kind(running_->set == EVALUATION_SET_NONE ? ACTIVITY_COMPUTE : ACTIVITY_EVALUATE);
  activity.set_job(options_.rounds.job.value());
  activity.set_view(rounds_.view().value());
  activity.set_idle_seconds(absl::ToDoubleSeconds(runner_->Now() - progress_));
  activity.set_detail(TextOf(*running_));
}

// ---- runner ----

void JobWorker::Changed() {
  changed_.SignalAll();
  if (busy_ || stopping_ || !NextSlot()) return;
  busy_ = true;
  runner_->Post([this] { RunNext(); });
}

std::optional<SlotRun> JobWorker::NextSlot() {
  const std::optional<SlotRun> run = rounds_.NextSlot();
  if (run && options_.start_when_whole && !rounds_.AllGroupsHere()) return std::nullopt;
  return run;
}

void JobWorker::RunNext() {
  std::optional<SlotRun> run;
  {
    absl::MutexLock lock(&mutex_);
    if (!stopping_) run = NextSlot();
    busy_ = run.has_value();
    if (!busy_) return;
    running_ = run;
    progress_ = runner_->Now();
  }
  if (run->set == EVALUATION_SET_NONE) {
    Train(*run);
  } else {
    Evaluate(*run);
  }
}

absl::Status JobWorker::RunSlot(const SlotRun& run) {
  SlotTask task;
  task.round = RoundFrom(run.version);
  task.slot = run.slot;
  task.theta = run.theta;
  task.wait_group = [&](int group) { return WaitGroup(run, group); };
  task.set_stats = [&](const ContributionStats& stats) { rounds_.SetStats(stats); };
  task.group_final = [&](int group) { FinishGroup(group); };
  try {
    task.gradient = rounds_.BeginGradient();
    return program_->RunSlot(task);
  } catch (const std::bad_alloc& error) {
    return NotEnoughMemory(error, "the slot");
  }
}

absl::StatusOr<EvaluationStatistics> JobWorker::EvaluateSlot(const SlotRun& run) {
  try {
    return program_->EvaluateSlot({run.set, run.version, run.slot, run.theta});
  } catch (const std::bad_alloc& error) {
    return NotEnoughMemory(error, "the slot");
  }
}

void JobWorker::Train(const SlotRun& run) {
  const absl::Status status = RunSlot(run);
  absl::MutexLock lock(&mutex_);
  running_.reset();
  busy_ = false;
  if (stopping_) return;
  rounds_.EndTraining(status);
  Changed();
}

void JobWorker::Evaluate(const SlotRun& run) {
  const auto statistics = EvaluateSlot(run);
  absl::MutexLock lock(&mutex_);
  running_.reset();
  busy_ = false;
  if (stopping_) return;
  rounds_.EndEvaluation(statistics);
  Changed();
}

bool JobWorker::WaitGroup(const SlotRun& run, int group) {
  absl::MutexLock lock(&mutex_);
  running_.reset();
  while (!stopping_ && rounds_.Wanted() && !rounds_.GroupHere(group)) changed_.Wait(&mutex_);
  running_ = run;
  progress_ = runner_->Now();
  return !stopping_ && rounds_.Wanted();
}

void JobWorker::FinishGroup(int group) {
  const std::optional<ReducedGroup> reduced = rounds_.Reduce(group);
  absl::MutexLock lock(&mutex_);
  progress_ = runner_->Now();
  if (reduced && !stopping_) rounds_.Hold(*reduced);
}

}  // namespace shoal::worker
