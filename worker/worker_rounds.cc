#include "worker/worker_rounds.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/log.h"
#include "common/base/status.h"
#include "common/protocol/shard_map.h"
#include "common/protocol/view_key.h"

namespace shoal::worker {
namespace {

absl::Status CheckView(const View& view, NodeId self, uint32_t slots) {
  const auto error = [&](const std::string& what) {
    return absl::InvalidArgumentError(absl::StrCat("view ", view.view(), " of job ", view.job(), ": ", what));
  };
  if (view.shards().empty()) return error("expected at least one shard, got none");
  int ours = 0;
  for (const SlotAssignment& assignment : view.slots()) {
    if (NodeId(assignment.worker().node_id()) != self) continue;
    const SlotRange range{assignment.slot_begin(), assignment.slot_end()};
    if (range.begin > range.end || range.end > slots) {
      return error(absl::StrCat("slots ", range.ToString(), "; the job has ", slots));
    }
    if (++ours > 1) return error("more than one range of slots for this worker");
  }
  return absl::OkStatus();
}

bool SameTarget(const Target& a, const Target& b) {
  return a.version() == b.version() && a.evaluate() == b.evaluate();
}

// What is wrong with a loss; null: nothing.
const char* BadLoss(double loss) {
  if (std::isfinite(loss)) return nullptr;
  return std::isnan(loss) ? "the loss is not a number" : "the loss is infinite";
}

}  // namespace

WorkerRounds::WorkerRounds(Options options, ParameterLink* link)
    : options_(std::move(options)),
      link_(link),
      tree_(options_.slots),
      blocks_(CutBlocks(options_.group_sizes, options_.max_block_elements)),
      group_blocks_(options_.group_sizes.size()),
      pool_(ArrayPool::Create()),
      core_({options_.job, options_.self, options_.slots, static_cast<uint32_t>(blocks_.size())}) {
  for (uint64_t size : options_.group_sizes) {
    groups_.push_back({elements_, size});
    elements_ += size;
  }
  for (uint32_t b = 0; b < blocks_.size(); ++b) group_blocks_[blocks_[b].group].push_back(b);
  versions_.resize(core_.memories());
  for (VersionMemory& memory : versions_) {
    memory.theta = pool_->Acquire(elements_);
    if (options_.averages) memory.average = pool_->Acquire(elements_);
    memory.has_average.resize(blocks_.size());
  }
}

// ---- control plane ----

absl::Status WorkerRounds::OnView(const View& view) {
  SHOAL_RETURN_IF_ERROR(CheckSameTraining(KeyOf(view), KeyOf(view_)));
  SHOAL_RETURN_IF_ERROR(CheckView(view, options_.self, options_.slots));
  if (ViewId(view.view()) > core_.view()) {
    view_ = view;
    open_ = false;
    failed_.reset();
    link_->SetView(view);
  }
  const Target before = core_.target();
  core_.OnView(view);
  if (!SameTarget(core_.target(), before)) failed_.reset();
  CarryOut();
  return absl::OkStatus();
}

void WorkerRounds::OnTarget(const Target& target) {
  const Target before = core_.target();
  core_.OnTarget(target);
  if (!SameTarget(core_.target(), before)) failed_.reset();
  CarryOut();
}

void WorkerRounds::OnSessionOpened() {
  core_.OnSessionOpened();
  if (failed_) Report(*failed_);
  CarryOut();
}

// ---- link ----

void WorkerRounds::OnVersions(ViewId view, uint32_t shard, Version lowest) {
  core_.OnVersions(view, shard, lowest);
  CarryOut();
}

void WorkerRounds::OnOutOfRange(ViewId view) {
  core_.OnOutOfRange(view);
  CarryOut();
}

void WorkerRounds::OnPushReopened(ViewId view, uint32_t shard) {
  if (view != core_.view() || !open_) return;
  for (const Held& held : held_) PushHeld(held, static_cast<int>(shard));
}

WorkerCore::Offer WorkerRounds::OfferBlock(const PublishedHeader& header, BlockMemory* memory) {
  const Version version(header.version());
  const auto offer = core_.OfferBlock(ViewId(header.view()), version, BlockId(header.block()));
  if (offer != WorkerCore::Offer::kTake) return offer;
  VersionMemory& of_version = versions_[core_.MemoryOf(version)];
  const uint64_t offset = blocks_[header.block()].offset;
  memory->theta = of_version.theta.get() + offset;
  if (options_.averages) memory->average = of_version.average.get() + offset;
  of_version.has_average[header.block()] = header.with_average();
  return offer;
}

void WorkerRounds::BlockStored(const PublishedHeader& header) {
  core_.BlockStored(ViewId(header.view()), Version(header.version()), BlockId(header.block()));
  CarryOut();
}

// ---- actions ----

void WorkerRounds::CarryOut() {
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
      Report(std::move(send->report));
    }
  }
  link_->Resume();
}

void WorkerRounds::PushHeld(const Held& held, int shard) {
  const ReducedGroup& reduced = held.reduced;
  const ShardMap map(static_cast<uint32_t>(view_.shards_size()));
  for (uint32_t b : group_blocks_[reduced.group]) {
    if (shard >= 0 && !map.Holds(static_cast<uint32_t>(shard), BlockId(b))) continue;
    BlockContribution contribution;
    ContributionHeader& header = contribution.header;
    header.set_round(held.round.value());
    header.set_slot_begin(reduced.node.begin);
    header.set_slot_end(reduced.node.end);
    header.set_block(b);
    *header.mutable_stats() = reduced.stats;
    contribution.gradient = reduced.gradient;
    contribution.values = reduced.gradient.get() + blocks_[b].offset;
    contribution.size = blocks_[b].size;
    link_->Push(std::move(contribution));
  }
}

// ---- running slots ----

std::optional<SlotRun> WorkerRounds::NextSlot() {
  while (true) {
    if (work_.kind == Work::Kind::kNone) {
      if (failed_) return std::nullopt;
      work_ = core_.NextWork();
      next_ = 0;
    }
    if (work_.kind == Work::Kind::kNone) return std::nullopt;
    const bool evaluates = work_.kind == Work::Kind::kEvaluate;
    if (!evaluates && reducer_ == nullptr) BeginUnit();
    run_.set = work_.set;
    run_.version = work_.version;
    run_.slot = evaluates ? work_.slots[next_] : Slot(slot_);
    bad_loss_ = nullptr;
    const absl::StatusOr<const float*> parameters = Parameters();
    if (!parameters.ok()) {
      Fail(parameters.status());
    } else if (Wanted() && (evaluates || core_.Assigned(run_.slot))) {
      run_.theta = *parameters;
      return run_;
    }
    evaluates ? EndWork() : GiveUpUnit();
  }
}

absl::StatusOr<const float*> WorkerRounds::Parameters() const {
  const VersionMemory& memory = versions_[core_.MemoryOf(work_.version)];
  if (!options_.averages || work_.kind != Work::Kind::kEvaluate) return memory.theta.get();
  if (std::find(memory.has_average.begin(), memory.has_average.end(), false) == memory.has_average.end())
    return memory.average.get();
  return absl::InternalError("servers have sent no average of the parameters");
}

void WorkerRounds::BeginUnit() {
  const SlotRange unit = work_.units[next_];
  slot_ = unit.begin;
  const auto on_final = [this](SlotRange node, int group, const GradientBuffer& gradient,
                               const ContributionStats& stats) {
    reduced_.push_back({node, group, gradient, stats});
  };
  reducer_ = std::make_unique<UnitReducer>(
      UnitReducer::Options{tree_, unit, options_.wire, groups_, on_final}, pool_);
}

void WorkerRounds::EndUnit() {
  core_.UnitDone(work_.ticket, work_.units[next_]);
  reducer_.reset();
  if (++next_ == work_.units.size()) EndWork();
}

void WorkerRounds::GiveUpUnit() {
  const std::vector<SlotRange> nodes = reducer_->Flush();
  for (const ReducedGroup& reduced : std::exchange(reduced_, {})) Hold(reduced);
  for (SlotRange node : nodes) core_.UnitDone(work_.ticket, node);
  reducer_.reset();
  EndWork();
}

void WorkerRounds::EndWork() {
  core_.EndWork(work_.ticket);
  work_ = Work();
  CarryOut();
}

bool WorkerRounds::GroupHere(int group) const {
  for (uint32_t b : group_blocks_[group]) {
    if (!core_.HasBlock(work_.version, BlockId(b))) return false;
  }
  return true;
}

bool WorkerRounds::AllGroupsHere() const {
  for (int group = 0; group < groups(); ++group) {
    if (!GroupHere(group)) return false;
  }
  return true;
}

void WorkerRounds::SetStats(const ContributionStats& stats) {
  if (!options_.skips_not_finite) bad_loss_ = BadLoss(stats.loss());
  reducer_->SetStats(stats);
}

std::optional<ReducedGroup> WorkerRounds::Reduce(int group) {
  // Merged with its siblings, a gradient that is not finite would spoil the good part of the unit.
  if (bad_loss_ != nullptr) return std::nullopt;
  reducer_->GroupFinal(group);
  if (reduced_.empty()) return std::nullopt;
  ReducedGroup reduced = std::move(reduced_.back());
  reduced_.clear();
  return reduced;
}

void WorkerRounds::Hold(const ReducedGroup& reduced) {
  if (!Wanted()) return;
  DropOverlapping(reduced);
  held_.push_back({RoundFrom(work_.version), reduced});
  if (open_) PushHeld(held_.back(), -1);
}

void WorkerRounds::DropOverlapping(const ReducedGroup& reduced) {
  const Round round = RoundFrom(work_.version);
  const auto overlaps = [&](const Held& held) {
    return held.round == round && held.reduced.group == reduced.group &&
           held.reduced.node.Overlaps(reduced.node);
  };
  held_.erase(std::remove_if(held_.begin(), held_.end(), overlaps), held_.end());
}

void WorkerRounds::EndTraining(const absl::Status& status) {
  if (status.ok() && bad_loss_ == nullptr) {
    reducer_->EndSlot();
    if (++slot_ == work_.units[next_].end) EndUnit();
  } else {
    if (!status.ok()) {
      Fail(status);
    } else {
      FailLoss(bad_loss_);
    }
    GiveUpUnit();
  }
  CarryOut();
}

void WorkerRounds::EndEvaluation(const absl::StatusOr<EvaluationStatistics>& statistics) {
  const char* const bad_loss = statistics.ok() ? BadLoss(statistics->loss()) : nullptr;
  if (statistics.ok() && bad_loss == nullptr) {
    core_.SlotEvaluated(work_.ticket, run_.slot, *statistics);
    if (++next_ == work_.slots.size()) return EndWork();
    return CarryOut();
  }
  if (!statistics.ok()) {
    Fail(statistics.status());
  } else {
    FailLoss(bad_loss);
  }
  EndWork();
}

void WorkerRounds::Fail(const absl::Status& status) {
  if (absl::IsCancelled(status)) return;
  NodeReport report;
  JobRefused& refused = *report.mutable_job_refused();
  refused.set_job(options_.job.value());
  refused.set_reason(absl::StrCat(TextOf(run_), ": ", absl::string_view(status.message())));
  refused.set_view(view_.view());
  ReportFailure(std::move(report), std::string(status.message()));
}

void WorkerRounds::FailLoss(const char* reason) {
  NodeReport report;
  SlotFailed& failed = *report.mutable_slot_failed();
  failed.set_job(options_.job.value());
  failed.set_restore_id(core_.restore_id().value());
  failed.set_round(run_.version.value());
  failed.set_slot(static_cast<uint32_t>(run_.slot.value()));
  failed.set_set(run_.set);
  failed.set_reason(reason);
  ReportFailure(std::move(report), reason);
}

// A slot that is no longer wanted has not failed.
void WorkerRounds::ReportFailure(NodeReport report, const std::string& reason) {
  if (!Wanted()) return;
  LogError("job ", options_.job.value(), ", ", TextOf(run_), ": ", reason);
  failed_ = std::move(report);
  Report(*failed_);
}

void WorkerRounds::Report(NodeReport report) {
  report.set_training_id(view_.training_id());
  options_.report(std::move(report));
}

}  // namespace shoal::worker
