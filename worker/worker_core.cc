#include "worker/worker_core.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace shoal::worker {

WorkerCore::WorkerCore(Options options)
    : options_(options),
      tree_(options.slots),
      buffers_(options.rounds->versions_kept()),
      done_(options.slots) {
  for (Buffer& buffer : buffers_) buffer.blocks.resize(options_.blocks);
}

// ---- control plane ----

void WorkerCore::OnView(const View& view) {
  if (ViewId(view.view()) == view_)
    OnTarget(view.target());  // from a new session: the target may have changed
  if (ViewId(view.view()) <= view_) return;
  SlotRange assigned;
  for (const SlotAssignment& slots : view.slots()) {
    if (NodeId(slots.worker().node_id()) == options_.self) assigned = {slots.slot_begin(), slots.slot_end()};
  }
  if (assigned.begin > assigned.end || assigned.end > options_.slots) return;
  const bool had_slots = !assigned_.empty();
  view_ = ViewId(view.view());
  training_ = TrainingId(view.training_id());
  refused_.reset();
  shards_ = view.shards_size();
  assigned_ = assigned;
  const RestoreId restore_id(view.restore().restore_id());
  if (restore_id != restore_id_) Rewind(restore_id);
  OnTarget(view.target());
  view_restore_[view_] = restore_id_;

  if (assigned_.empty()) {
    CancelRun();
    located_ = false;
    actions_.push_back(Disconnect{});
    actions_.push_back(DropHeld{});
  } else if (located_ && had_slots) {
    // Already in round base+1 although slots of round base were added: go back to those, unless base+1 is
    // complete (then round base is over).
    if (running_ && running_->work.version > base_ && !AllDone()) CancelRun();
    Connect();
  } else {
    Locate();
  }
}

void WorkerCore::OnTarget(const Target& target) {
  if (RestoreId(target.restore_id()) != restore_id_) return;
  const bool same = target.version() == target_.version() && target.evaluate() == target_.evaluate();
  // The scheduler may have received the results before it wanted them (an older copy of its store).
  if (same) return ReportEvaluated();
  if (target.version() < target_.version()) return;
  if (running_ && running_->work.kind == Work::Kind::kEvaluate) CancelRun();
  target_ = target;
  evaluated_.clear();
}

void WorkerCore::OnSessionOpened() { ReportEvaluated(); }

void WorkerCore::ReportEvaluated() {
  for (const auto& [slot, statistics] : evaluated_) Report(Slot(slot), statistics);
}

void WorkerCore::Rewind(RestoreId restore_id) {
  restore_id_ = restore_id;
  CancelRun();
  located_ = false;
  target_ = Target();
  evaluated_.clear();
  actions_.push_back(DropHeld{});
}

void WorkerCore::Locate() {
  located_ = false;
  CancelRun();
  lowest_.clear();
  actions_.push_back(AskVersions{view_});
}

void WorkerCore::Connect() { actions_.push_back(OpenStreams{view_, PullFrom()}); }

// ---- data plane ----

void WorkerCore::OnVersions(ViewId view, uint32_t shard, Version lowest) {
  if (view != view_ || located_ || assigned_.empty() || shard >= shards_) return;
  lowest_[shard] = lowest;
  if (lowest_.size() < shards_) return;
  base_ = lowest_.begin()->second;
  for (const auto& [s, version] : lowest_) base_ = std::min(base_, version);
  located_ = true;
  for (Buffer& buffer : buffers_) {
    std::fill(buffer.blocks.begin(), buffer.blocks.end(), BlockState::kNone);
    buffer.here = 0;
  }
  std::fill(done_.begin(), done_.end(), false);
  actions_.push_back(DropHeld{});
  Connect();
}

// A shard reaches version v+2 only when all have reached v+1. So when one has dropped the lowest version of
// all, the lowest shard has moved on since; if it has not, its server lost its state and started over.
void WorkerCore::OnOutOfRange(ViewId view) {
  if (view != view_ || !located_) return;
  if (refused_ == base_) {
    SendReport send;
    JobRefused& refused = *send.report.mutable_job_refused();
    refused.set_job(options_.job.value());
    refused.set_outdated_training(training_.value());
    refused.set_reason(absl::StrCat("some server is still at version ", base_.value(), " of view ",
                                    view_.value(), ", which another has dropped"));
    actions_.push_back(std::move(send));
  }
  refused_ = base_;
  Locate();
}

// A buffer may not be written while a run reads another version in it, or while a write from before a rewind
// or a relocation is still in progress.
bool WorkerCore::InUse(Version version) const {
  for (const auto& [write, blocks] : writes_) {
    const bool same_memory = MemoryOf(write.version) == MemoryOf(version);
    if (same_memory && write != RestoredVersion{version, restore_id_}) return true;
  }
  if (!running_) return false;
  if (running_->restore_id != restore_id_) return true;
  const Version read = running_->work.version;
  return read != version && MemoryOf(read) == MemoryOf(version);
}

WorkerCore::Offer WorkerCore::OfferBlock(ViewId view, Version version, BlockId block) {
  if (view != view_ || !located_ || block.value() >= options_.blocks || version < base_) return Offer::kDrop;
  if (!HasMemory(version) || InUse(version)) return Offer::kWait;
  BlockState& state = buffer(version).blocks[block.value()];
  if (state != BlockState::kNone) return Offer::kDrop;
  // A write begun before the version was located again is still running: two threads would write to the same
  // place.
  if (!writes_[{version, restore_id_}].insert(block).second) return Offer::kWait;
  state = BlockState::kWriting;
  return Offer::kTake;
}

// A write outlives what it was begun for: the version may have been located again meanwhile, after a restore
// under another id. So the write is found under the restore id of the view that it belongs to, and as long as
// any write is running the ids of former views are kept. Only after the last one can a late report no longer
// be mistaken for one of the current restore point.
void WorkerCore::BlockStored(ViewId view, Version version, BlockId block) {
  const auto restore = view_restore_.find(view);
  const RestoreId restore_id = restore == view_restore_.end() ? restore_id_ : restore->second;
  const auto write = writes_.find({version, restore_id});
  if (write != writes_.end() && write->second.erase(block) > 0 && write->second.empty()) writes_.erase(write);
  if (writes_.empty()) view_restore_.erase(view_restore_.begin(), view_restore_.find(view_));

  const bool current = located_ && restore_id == restore_id_ && HasMemory(version);
  if (!current) return;
  BlockState& state = buffer(version).blocks[block.value()];
  if (state != BlockState::kWriting) return;  // begun before the version was located again
  state = BlockState::kHere;
  ++buffer(version).here;
  AdvanceWhileComplete();
}

void WorkerCore::AdvanceWhileComplete() {
  while (Complete(base_) && Complete(base_ + 1)) {
    actions_.push_back(ReleaseHeld{RoundFrom(base_)});
    // A run of round base is too late: others did its slots. A run of base+1 continues.
    if (running_ && running_->work.version == base_) CancelRun();
    Buffer& old = buffer(base_);
    std::fill(old.blocks.begin(), old.blocks.end(), BlockState::kNone);
    old.here = 0;
    ++base_;
    refused_.reset();
    std::fill(done_.begin(), done_.end(), false);
  }
}

bool WorkerCore::HasBlock(Version version, BlockId block) const {
  if (!located_ || !HasMemory(version)) return false;
  return buffer(version).blocks[block.value()] == BlockState::kHere;
}

// ---- runner ----

bool WorkerCore::AllDone() const {
  for (uint32_t s = assigned_.begin; s < assigned_.end; ++s) {
    if (!done_[s]) return false;
  }
  return true;
}

Work WorkerCore::TrainWork() const {
  Work work;
  work.version = InputOf(options_.rounds->NextToStart(base_, AllDone()));
  const bool ahead = work.version > base_;
  if (work.version.value() >= target_.version()) return work;
  work.kind = Work::Kind::kTrain;
  uint32_t begin = assigned_.begin;
  while (begin < assigned_.end) {
    if (!ahead && done_[begin]) {
      ++begin;
      continue;
    }
    uint32_t end = begin;
    while (end < assigned_.end && (ahead || !done_[end])) ++end;
    for (SlotRange unit : tree_.Cover({begin, end})) work.units.push_back(unit);
    begin = end;
  }
  return work;
}

Work WorkerCore::EvaluateWork() const {
  Work work;
  work.version = base_;
  work.set = target_.evaluate();
  for (uint32_t s = assigned_.begin; s < assigned_.end; ++s) {
    if (evaluated_.count(s) == 0) work.slots.push_back(Slot(s));
  }
  if (!work.slots.empty()) work.kind = Work::Kind::kEvaluate;
  return work;
}

Work WorkerCore::NextWork() {
  if (running_ || !located_ || assigned_.empty()) return Work();
  const bool at_target = base_.value() == target_.version() && target_.evaluate() != EVALUATION_SET_NONE;
  Work work;
  if (base_.value() < target_.version()) {
    work = TrainWork();
  } else if (at_target && Complete(base_)) {
    work = EvaluateWork();
  }
  if (work.kind == Work::Kind::kNone) return Work();
  work.ticket = next_ticket_++;
  running_ = Running{work, restore_id_, false};
  return work;
}

bool WorkerCore::Wanted(uint64_t ticket) const {
  return running_ && running_->work.ticket == ticket && !running_->cancelled;
}

bool WorkerCore::Assigned(Slot slot) const {
  return assigned_.Contains({static_cast<uint32_t>(slot.value()), static_cast<uint32_t>(slot.value()) + 1});
}

void WorkerCore::UnitDone(uint64_t ticket, SlotRange unit) {
  // A finished slot needed all of its version, so the run's version is base_ by now, or the run is cancelled.
  if (!Wanted(ticket) || running_->work.version != base_) return;
  for (uint32_t s = unit.begin; s < unit.end; ++s) done_[s] = true;
}

void WorkerCore::SlotEvaluated(uint64_t ticket, Slot slot, const EvaluationStatistics& statistics) {
  if (!Wanted(ticket)) return;
  evaluated_[slot.value()] = statistics;
  Report(slot, statistics);
}

void WorkerCore::EndWork(uint64_t ticket) {
  if (running_ && running_->work.ticket == ticket) running_.reset();
}

void WorkerCore::CancelRun() {
  if (running_) running_->cancelled = true;
}

void WorkerCore::Report(Slot slot, const EvaluationStatistics& statistics) {
  SendReport send;
  auto* evaluated = send.report.mutable_slot_evaluated();
  evaluated->set_job(options_.job.value());
  evaluated->set_restore_id(restore_id_.value());
  evaluated->set_version(target_.version());
  evaluated->set_set(target_.evaluate());
  evaluated->set_slot(slot.value());
  *evaluated->mutable_statistics() = statistics;
  actions_.push_back(std::move(send));
}

std::vector<WorkerAction> WorkerCore::TakeActions() { return std::exchange(actions_, {}); }

}  // namespace shoal::worker
