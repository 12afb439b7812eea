// The rounds of one job on one worker: carries out what WorkerCore decides, with the two copies of θ, the
// held contributions and the slots that are run, and without thread, lock, network or clock.
//
// worker/job_worker.h puts threads around it; the simulation drives it by events.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/array_pool.h"
#include "common/protocol/blocks.h"
#include "common/protocol/slot_tree.h"
#include "worker/parameter_link.h"
#include "worker/unit_reducer.h"
#include "worker/worker_core.h"

namespace shoal::worker {

// One slot for the runner.
struct SlotRun {
  EvaluationSet set = EVALUATION_SET_NONE;  // NONE: training
  Version version;                          // of the parameters to compute with
  Slot slot;
  const float* theta = nullptr;  // all of θ; in training a group may be read once GroupHere
};

// A layer group of a node of the slot tree that has its final value here.
struct ReducedGroup {
  SlotRange node;
  int group = 0;
  GradientBuffer gradient;  // not written in the group's range again
  ContributionStats stats;  // the node's
};

// Not thread-safe: whoever has several threads calls all of it under one lock, but for the functions of the
// runner, which only the runner calls, with or without the lock. Never blocks.
class WorkerRounds {
 public:
  struct Options {
    JobId job;
    NodeId self;
    uint32_t slots = 1;
    WireFormat wire = WIRE_FORMAT_F32;
    std::vector<uint64_t> group_sizes;                // elements
    uint64_t max_block_elements = kMaxBlockElements;  // smaller in simulations, for more blocks
    // Sends a report to the scheduler; never blocks.
    std::function<void(NodeReport)> report;
  };
  // `options` are of a checked plan (common/job/job_plan_check.h); `link` must outlive every call of this
  // object.
  WorkerRounds(Options options, ParameterLink* link);
  WorkerRounds(const WorkerRounds&) = delete;
  WorkerRounds& operator=(const WorkerRounds&) = delete;

  // ---- control plane ----
  // Errors, without effect: INVALID_ARGUMENT when the view can't be one of this job: no shards, slots that
  // the job does not have, two ranges of slots for this worker; FAILED_PRECONDITION when it is of another
  // training than the first.
  absl::Status OnView(const View& view);
  void OnTarget(const Target& target);
  void OnSessionOpened();

  // ---- what the link brings: as ParameterLinkEvents says ----
  void OnVersions(ViewId view, uint32_t shard, Version lowest);
  void OnOutOfRange(ViewId view);
  Version PullFrom() const { return core_.PullFrom(); }
  void OnPushReopened(ViewId view, uint32_t shard);
  // kTake: the block's elements go to *values, then BlockStored is called (also after a new view).
  WorkerCore::Offer OfferBlock(const PublishedHeader& header, float** values);
  void BlockStored(const PublishedHeader& header);

  // ---- running slots ----
  // The slot to run now; nullopt: none, until the next change of this object. Until it has begun, asking
  // again gives the same one, or another when it is not wanted any more; then it must be ended by EndTraining
  // or EndEvaluation first.
  std::optional<SlotRun> NextSlot();
  // Of the running slot: whether anybody still wants its result; once false, it stays false.
  bool Wanted() const { return core_.Wanted(work_.ticket); }
  // Of the running slot: whether the group's parameters are here.
  bool GroupHere(int group) const;
  bool AllGroupsHere() const;
  // Keeps what Reduce gave until all servers have used it, and pushes it.
  void Hold(const ReducedGroup& reduced);
  // The running slot is over. A loss that is not finite ends the worker's part in the job until there is
  // another view or target, and is reported (SlotFailed), as is each error but CANCELLED (JobRefused).
  void EndTraining(const absl::Status& status);
  void EndEvaluation(const absl::StatusOr<EvaluationStatistics>& statistics);

  // ---- functions of the runner ----
  // Of a training slot: where its gradient goes; call it first.
  float* BeginGradient() { return reducer_->BeginSlot(run_.slot); }
  // Forward of the whole slot is over.
  void SetStats(const ContributionStats& stats);
  // The slot's gradient of the group is final. Returns what is to be held; nullopt: it is merged with a later
  // slot, or the slot has failed.
  std::optional<ReducedGroup> Reduce(int group);

  int groups() const { return static_cast<int>(groups_.size()); }
  uint64_t elements() const { return elements_; }
  ViewId view() const { return core_.view(); }

 private:
  struct Held {
    Round round;
    ReducedGroup reduced;
  };

  void CarryOut();
  // Pushes the blocks of `held` that live on `shard`, or on any.
  void PushHeld(const Held& held, int shard);
  float* theta(Version version) const { return theta_[version.value() % 2].get(); }
  void BeginUnit();
  void EndUnit();
  // What was reduced of the unit so far leaves as smaller nodes; the work is over.
  void GiveUpUnit();
  void EndWork();
  void Fail(const absl::Status& status);
  void FailLoss(const char* reason);
  void ReportFailure(NodeReport report);
  void Report(NodeReport report);

  const Options options_;
  ParameterLink* const link_;
  const SlotTree tree_;
  const std::vector<BlockSpec> blocks_;
  std::vector<GroupRange> groups_;
  std::vector<std::vector<uint32_t>> group_blocks_;  // by group
  uint64_t elements_ = 0;                            // of θ
  const std::shared_ptr<ArrayPool> pool_;
  FloatArray theta_[2];  // by parity of the version

  WorkerCore core_;
  View view_;
  std::vector<Held> held_;
  bool open_ = false;                 // the push streams of the current view take contributions
  std::optional<NodeReport> failed_;  // no slot is run until there is another view or target

  // ---- of the runner ----
  Work work_;                             // its kind is kNone: none is under way
  size_t next_ = 0;                       // the next of work_.units, or of work_.slots
  SlotRun run_;                           // the running slot
  uint32_t slot_ = 0;                     // the next slot of the unit
  std::unique_ptr<UnitReducer> reducer_;  // of the unit; null: none has begun
  std::vector<ReducedGroup> reduced_;     // by the last call of reducer_
  const char* bad_loss_ = nullptr;        // what is wrong with the running slot's loss; null: nothing
};

}  // namespace shoal::worker
