#include "tests/simulation/stepwise_runner.h"

#include <utility>

#include "common/protocol/queue_length.h"

namespace shoal::simulation {

StepwiseRunner::StepwiseRunner(Process* process, Oracle* oracle, MadeUpJob job,
                               worker::WorkerRounds::Options options, const LinkFactory& make_link)
    : process_(process),
      oracle_(oracle),
      job_(std::move(job)),
      options_(std::move(options)),
      runner_(process->executors()("runner")),
      link_(make_link(this)),
      rounds_(options_, link_.get()) {}

absl::Duration StepwiseRunner::Time(absl::Duration shortest, absl::Duration longest) {
  return process_->queue().Between(shortest, longest);
}

std::string StepwiseRunner::Cancel() {
  if (!std::exchange(cancelled_, true)) link_->Disconnect();
  runner_->Stop();
  return "";
}

// ---- events ----

void StepwiseRunner::OnView(const View& view) {
  if (cancelled_) return;
  const absl::Status status = rounds_.OnView(view);
  if (!status.ok() && oracle_ != nullptr) oracle_->Fail(std::string(status.message()));
  Changed();
}

void StepwiseRunner::OnTarget(const Target& target) {
  if (cancelled_) return;
  rounds_.OnTarget(target);
  Changed();
}

void StepwiseRunner::OnSessionOpened() {
  if (cancelled_) return;
  rounds_.OnSessionOpened();
  Changed();
}

void StepwiseRunner::OnVersions(ViewId view, uint32_t shard, Version lowest) {
  if (cancelled_) return;
  rounds_.OnVersions(view, shard, lowest);
  Changed();
}

void StepwiseRunner::OnOutOfRange(ViewId view) {
  if (cancelled_) return;
  rounds_.OnOutOfRange(view);
  Changed();
}

bool StepwiseRunner::OnBlock(const PublishedHeader& header, const worker::BlockStore& store) {
  if (cancelled_) return true;
  worker::BlockMemory memory;
  const worker::WorkerCore::Offer offer = rounds_.OfferBlock(header, &memory);
  if (offer == worker::WorkerCore::Offer::kWait) return false;
  if (offer == worker::WorkerCore::Offer::kDrop) return true;
  store(memory);
  if (oracle_ != nullptr && process_->alive()) oracle_->OnTaken(rounds_.key(), header, memory.theta);
  rounds_.BlockStored(header);
  Changed();
  return true;
}

void StepwiseRunner::AddTo(Heartbeat* heartbeat) const {
  if (cancelled_) return;
  link_->AddTo(heartbeat);
  AddQueue("held contributions", rounds_.held(), rounds_.max_held(), heartbeat->mutable_queues());
  if (!run_ || waiting_) return;
  Activity& activity = *heartbeat->add_activities();
  activity.set_kind(run_->set == EVALUATION_SET_NONE ? ACTIVITY_COMPUTE : ACTIVITY_EVALUATE);
  activity.set_job(options_.job.value());
  activity.set_view(rounds_.view().value());
  activity.set_idle_seconds(absl::ToDoubleSeconds(runner_->Now() - progress_));
}

// ---- slots ----

void StepwiseRunner::Changed() {
  if (waiting_ && (!rounds_.Wanted() || rounds_.AllGroupsHere())) {
    waiting_ = false;
    runner_->Post([this] { RunNext(); });
  }
  if (busy_ || !rounds_.NextSlot()) return;
  busy_ = true;
  runner_->Post([this] { RunNext(); });
}

void StepwiseRunner::RunNext() {
  run_ = rounds_.NextSlot();
  busy_ = run_.has_value();
  progress_ = runner_->Now();
  if (!busy_) return;
  if (run_->set != EVALUATION_SET_NONE) {
    return runner_->After(Time(absl::Microseconds(300), absl::Milliseconds(3)), [this] { Evaluate(); });
  }
  waiting_ = !rounds_.AllGroupsHere();
  if (waiting_) return;
  runner_->After(Time(absl::Microseconds(500), absl::Milliseconds(8)), [this] { Forward(); });
}

void StepwiseRunner::Forward() {
  progress_ = runner_->Now();
  if (oracle_ != nullptr) oracle_->OnComputed(run_->version, run_->theta);
  float* const gradient = rounds_.BeginGradient();
  rounds_.SetStats(MadeUpGradient(job_, run_->version.value(), run_->slot.value(),
                                  absl::MakeConstSpan(run_->theta, rounds_.elements()),
                                  absl::MakeSpan(gradient, rounds_.elements())));
  Backward(rounds_.groups() - 1);
}

void StepwiseRunner::Backward(int group) {
  progress_ = runner_->Now();
  const std::optional<worker::ReducedGroup> reduced = rounds_.Reduce(group);
  if (reduced) rounds_.Hold(*reduced);
  if (group == 0) return End();
  runner_->After(Time(absl::Microseconds(50), absl::Microseconds(600)),
                 [this, group] { Backward(group - 1); });
}

void StepwiseRunner::End() {
  // Up to here backward has read the parameters.
  if (oracle_ != nullptr) oracle_->OnComputed(run_->version, run_->theta);
  run_.reset();
  busy_ = false;
  rounds_.EndTraining(process_->Fails() ? absl::InternalError("made up") : absl::OkStatus());
  Changed();
}

void StepwiseRunner::Evaluate() {
  if (oracle_ != nullptr) oracle_->OnEvaluated(run_->version, run_->theta);
  const worker::SlotRun run = *std::exchange(run_, std::nullopt);
  busy_ = false;
  rounds_.EndEvaluation(
      MadeUpEvaluation(job_, run.set, run.slot.value(), absl::MakeConstSpan(run.theta, rounds_.elements())));
  Changed();
}

}  // namespace shoal::simulation
