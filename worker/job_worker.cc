#include "worker/job_worker.h"

#include <algorithm>
#include <utility>

#include "spdlog/spdlog.h"

namespace shoal::worker {

JobWorker::JobWorker(Options options, std::unique_ptr<Program> program, const LinkFactory& make_link)
    : options_(std::move(options)),
      tree_(options_.slots),
      blocks_(CutBlocks(options_.group_sizes)),
      group_blocks_(options_.group_sizes.size()),
      program_(std::move(program)),
      pool_(ArrayPool::Create()),
      core_({options_.job, options_.self, options_.slots, static_cast<uint32_t>(blocks_.size())}) {
  uint64_t offset = 0;
  for (uint64_t size : options_.group_sizes) {
    groups_.push_back({offset, size});
    offset += size;
  }
  for (uint32_t b = 0; b < blocks_.size(); ++b) group_blocks_[blocks_[b].group].push_back(b);
  for (FloatArray& theta : theta_) theta = pool_->Acquire(offset);
  link_ = make_link(this);
  runner_ = std::thread([this] { Run(); });
}

JobWorker::~JobWorker() {
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
    changed_.SignalAll();
  }
  runner_.join();
  link_.reset();  // joins the link's threads; events that still come leave it alone, since stopping_
}

// ---- events ----

void JobWorker::OnView(const View& view) {
  absl::MutexLock lock(&mutex_);
  if (ViewId(view.view()) > core_.view()) {
    view_ = view;
    open_ = false;
    link_->SetView(view);
  }
  core_.OnView(view);
  CarryOut();
}

void JobWorker::OnTarget(const Target& target) {
  absl::MutexLock lock(&mutex_);
  core_.OnTarget(target);
  CarryOut();
}

void JobWorker::OnSessionOpened() {
  absl::MutexLock lock(&mutex_);
  core_.OnSessionOpened();
  CarryOut();
}

void JobWorker::OnVersions(ViewId view, uint32_t shard, Version lowest) {
  absl::MutexLock lock(&mutex_);
  core_.OnVersions(view, shard, lowest);
  CarryOut();
}

void JobWorker::OnOutOfRange(ViewId view) {
  absl::MutexLock lock(&mutex_);
  core_.OnOutOfRange(view);
  CarryOut();
}

Version JobWorker::PullFrom() {
  absl::MutexLock lock(&mutex_);
  return core_.PullFrom();
}

void JobWorker::OnPushReopened(ViewId view, uint32_t shard) {
  absl::MutexLock lock(&mutex_);
  if (stopping_ || view != core_.view() || !open_) return;
  for (const Held& held : held_) PushHeld(held, static_cast<int>(shard));
}

bool JobWorker::OnBlock(const PublishedHeader& header, const std::function<void(float*)>& store) {
  const ViewId view(header.view());
  const Version version(header.version());
  const BlockId block(header.block());
  {
    absl::MutexLock lock(&mutex_);
    if (stopping_) return true;
    const WorkerCore::Offer offer = core_.OfferBlock(view, version, block);
    if (offer == WorkerCore::Offer::kWait) return false;
    if (offer == WorkerCore::Offer::kDrop) return true;
  }
  store(theta(version) + blocks_[block.value()].offset);
  absl::MutexLock lock(&mutex_);
  core_.BlockStored(view, version, block);
  CarryOut();
  return true;
}

// ---- actions ----

void JobWorker::CarryOut() {
  if (stopping_) return;
  for (WorkerAction& action : core_.TakeActions()) {
    if (std::holds_alternative<AskVersions>(action)) {
      open_ = false;
      link_->AskVersions();
    } else if (auto* open = std::get_if<OpenStreams>(&action)) {
      open_ = true;
      link_->Open(open->from);
      for (const Held& held : held_) PushHeld(held, -1);
    } else if (std::holds_alternative<Disconnect>(action)) {
      open_ = false;
      link_->Disconnect();
    } else if (auto* release = std::get_if<ReleaseHeld>(&action)) {
      const Round over = release->round;
      held_.erase(std::remove_if(held_.begin(), held_.end(), [&](const Held& h) { return h.round <= over; }),
                  held_.end());
    } else if (std::holds_alternative<DropHeld>(action)) {
      held_.clear();
    } else if (auto* send = std::get_if<SendReport>(&action)) {
      options_.report(std::move(send->report));
    }
  }
  link_->Resume();
  changed_.SignalAll();
}

void JobWorker::PushHeld(const Held& held, int shard) {
  const int shards = view_.shards_size();
  for (uint32_t b : group_blocks_[held.group]) {
    if (shard >= 0 && static_cast<int>(b % shards) != shard) continue;
    BlockContribution contribution;
    ContributionHeader& header = contribution.header;
    header.set_job(options_.job.value());
    header.set_round(held.round.value());
    header.set_slot_begin(held.node.begin);
    header.set_slot_end(held.node.end);
    header.set_block(b);
    *header.mutable_stats() = held.stats;
    contribution.gradient = held.gradient;
    contribution.values = held.gradient.get() + blocks_[b].offset;
    contribution.size = blocks_[b].size;
    link_->Push(std::move(contribution));
  }
}

// ---- runner ----

bool JobWorker::HasWork() {
  if (next_.kind == Work::Kind::kNone) next_ = core_.NextWork();
  return next_.kind != Work::Kind::kNone;
}

void JobWorker::Run() {
  while (true) {
    Work work;
    {
      absl::MutexLock lock(&mutex_);
      while (!stopping_ && !HasWork()) changed_.Wait(&mutex_);
      if (stopping_) return;
      work = std::exchange(next_, Work());
    }
    if (work.kind == Work::Kind::kTrain) {
      Train(work);
    } else {
      Evaluate(work);
    }
    absl::MutexLock lock(&mutex_);
    core_.EndWork(work.ticket);
    CarryOut();
  }
}

void JobWorker::Train(const Work& work) {
  for (SlotRange unit : work.units) {
    if (!TrainUnit(work, unit)) return;
  }
}

bool JobWorker::TrainUnit(const Work& work, SlotRange unit) {
  UnitReducer reducer({tree_, unit, options_.wire, groups_,
                       [&](SlotRange node, int group, const GradientBuffer& gradient,
                           const ContributionStats& stats) { OnFinal(work, node, group, gradient, stats); }},
                      pool_);
  for (uint32_t s = unit.begin; s < unit.end; ++s) {
    bool assigned;
    {
      absl::MutexLock lock(&mutex_);
      assigned = core_.Assigned(Slot(s));
    }
    const absl::Status status = assigned ? TrainSlot(work, Slot(s), &reducer) : absl::CancelledError("");
    if (!status.ok()) {
      if (!absl::IsCancelled(status)) Fail(status);
      for (SlotRange node : reducer.Flush()) {
        absl::MutexLock lock(&mutex_);
        core_.UnitDone(work.ticket, node);
      }
      return false;
    }
  }
  absl::MutexLock lock(&mutex_);
  core_.UnitDone(work.ticket, unit);
  return true;
}

absl::Status JobWorker::TrainSlot(const Work& work, Slot slot, UnitReducer* reducer) {
  if (!Wanted(work)) return absl::CancelledError("");
  SlotTask task;
  task.round = RoundFrom(work.version);
  task.slot = slot;
  task.theta = theta(work.version);
  task.gradient = reducer->BeginSlot(slot);
  task.wait_group = [&](int group) { return WaitGroup(work, group); };
  task.set_stats = [&](const ContributionStats& stats) { reducer->SetStats(stats); };
  task.group_final = [&](int group) { reducer->GroupFinal(group); };
  const absl::Status status = program_->RunSlot(task);
  if (status.ok()) reducer->EndSlot();
  return status;
}

void JobWorker::Evaluate(const Work& work) {
  for (Slot slot : work.slots) {
    if (!Wanted(work)) return;
    const auto statistics = program_->EvaluateSlot({work.set, slot, theta(work.version)});
    if (!statistics.ok()) return Fail(statistics.status());
    absl::MutexLock lock(&mutex_);
    core_.SlotEvaluated(work.ticket, slot, *statistics);
    CarryOut();
  }
}

bool JobWorker::WaitGroup(const Work& work, int group) {
  absl::MutexLock lock(&mutex_);
  while (!stopping_ && core_.Wanted(work.ticket) && !GroupHere(work.version, group)) changed_.Wait(&mutex_);
  return !stopping_ && core_.Wanted(work.ticket);
}

bool JobWorker::GroupHere(Version version, int group) const {
  for (uint32_t b : group_blocks_[group]) {
    if (!core_.HasBlock(version, BlockId(b))) return false;
  }
  return true;
}

bool JobWorker::Wanted(const Work& work) const {
  absl::MutexLock lock(&mutex_);
  return !stopping_ && core_.Wanted(work.ticket);
}

void JobWorker::OnFinal(const Work& work, SlotRange node, int group, const GradientBuffer& gradient,
                        const ContributionStats& stats) {
  absl::MutexLock lock(&mutex_);
  if (!core_.Wanted(work.ticket)) return;
  held_.push_back({RoundFrom(work.version), node, group, gradient, stats});
  if (open_) PushHeld(held_.back(), -1);
}

void JobWorker::Fail(const absl::Status& status) {
  spdlog::error("job {}: {}", options_.job.value(), std::string(status.message()));
  NodeReport report;
  report.mutable_job_refused()->set_job(options_.job.value());
  report.mutable_job_refused()->set_reason(std::string(status.message()));
  report.mutable_job_refused()->set_fatal(true);
  options_.report(std::move(report));
}

}  // namespace shoal::worker
