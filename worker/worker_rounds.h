// The rounds of one job on one worker: carries out what WorkerCore decides. Owns the two versions of θ, the
// held contributions and the running slots; has no thread, lock, network or clock.
//
// worker/job_worker.h puts threads around it; the simulation drives it by events.
#pragma once

#include <cstddef>
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
#include "common/protocol/slot_text.h"
#include "common/protocol/slot_tree.h"
#include "common/protocol/view_key.h"
#include "worker/block_memory.h"
#include "worker/parameter_link.h"
#include "worker/unit_reducer.h"
#include "worker/worker_core.h"

namespace shoal::worker {

// One slot for the runner.
struct SlotRun {
  EvaluationSet set = EVALUATION_SET_NONE;  // NONE: training
  Version version;                          // of the parameters to compute with
  Slot slot;
  // All of θ, in an evaluation its average if the job has one; in training a group may be read once GroupHere
  // is true.
  const float* theta = nullptr;
};

inline std::string TextOf(const SlotRun& run) { return SlotText(run.set, run.version, run.slot); }

// A layer group of a node of the slot tree whose value on this worker is final.
struct ReducedGroup {
  SlotRange node;
  int group = 0;
  GradientBuffer gradient;  // the group's range is not written again
  ContributionStats stats;  // the node's
};

// What it holds for slow servers is bounded by the round: the next one's contributions need parameters into
// which all servers have put these, and of no slot is a layer group held twice. Heartbeats say how many there
// are. The link's queues share their memory.
//
// Not thread-safe: with several threads, call everything under one lock, except the functions of the runner,
// which only the runner calls, with or without the lock. Never blocks.
class WorkerRounds {
 public:
  struct Options {
    JobId job;
    NodeId self;
    uint32_t slots = 1;
    WireFormat wire = WIRE_FORMAT_F32;
    bool averages = false;              // what is evaluated is the average of θ, which servers send with it
    bool skips_not_finite = false;      // a loss that is not finite is pushed: the servers skip the round
    std::vector<uint64_t> group_sizes;  // elements
    uint64_t max_block_elements = kMaxBlockElements;  // smaller in simulations, for more blocks
    // Sends a report to the scheduler; never blocks.
    std::function<void(NodeReport)> report;
  };
  // `options` come from a checked plan (common/job/job_plan_check.h); `link` must outlive every call of this
  // object.
  WorkerRounds(Options options, ParameterLink* link);
  WorkerRounds(const WorkerRounds&) = delete;
  WorkerRounds& operator=(const WorkerRounds&) = delete;

  // ---- control plane ----
  // Errors, without effect: INVALID_ARGUMENT when the view can't belong to this job: no shards, slots that
  // the job does not have, two ranges of slots for this worker; FAILED_PRECONDITION when it is of a training
  // other than the first view's.
  absl::Status OnView(const View& view);
  void OnTarget(const Target& target);
  void OnSessionOpened();

  // ---- events of the link, as in ParameterLinkEvents ----
  void OnVersions(ViewId view, uint32_t shard, Version lowest);
  void OnOutOfRange(ViewId view);
  Version PullFrom() const { return core_.PullFrom(); }
  void OnPushReopened(ViewId view, uint32_t shard);
  // kTake: write the block's elements to *memory, then call BlockStored (even after a new view).
  WorkerCore::Offer OfferBlock(const PublishedHeader& header, BlockMemory* memory);
  void BlockStored(const PublishedHeader& header);

  // ---- running slots ----
  // The slot to run now; nullopt: none, until the next change of this object. Until the slot has begun,
  // asking again returns the same one, or another when it is no longer wanted; once begun, it must be ended
  // by EndTraining or EndEvaluation first.
  std::optional<SlotRun> NextSlot();
  // Whether the running slot's result is still wanted; once false, it stays false.
  bool Wanted() const { return core_.Wanted(work_.ticket); }
  // Whether the group's parameters have arrived, for the running slot.
  bool GroupHere(int group) const;
  bool AllGroupsHere() const;
  // Holds what Reduce returned until all servers have used it, and pushes it.
  void Hold(const ReducedGroup& reduced);
  // The running slot has ended. A loss that is not finite stops this worker's slots until there is another
  // view or target, and is reported (SlotFailed); so is each error but CANCELLED (JobRefused).
  void EndTraining(const absl::Status& status);
  void EndEvaluation(const absl::StatusOr<EvaluationStatistics>& statistics);

  // ---- functions of the runner ----
  // Where a training slot writes its gradient; call it first.
  float* BeginGradient() { return reducer_->BeginSlot(run_.slot); }
  // The forward pass of the whole slot has finished.
  void SetStats(const ContributionStats& stats);
  // The slot's gradient of the group is final. Returns what must be held; nullopt: it will be merged with a
  // later slot, or the slot has failed.
  std::optional<ReducedGroup> Reduce(int group);

  // Contributions that are held, each of one layer group and a node of the slot tree.
  size_t held() const { return held_.size(); }
  size_t max_held() const { return size_t{options_.slots} * groups_.size(); }
  int groups() const { return static_cast<int>(groups_.size()); }
  uint64_t elements() const { return elements_; }
  ViewId view() const { return core_.view(); }
  ViewKey key() const { return KeyOf(view_); }  // of the same view

 private:
  struct Held {
    Round round;
    ReducedGroup reduced;
  };

  void CarryOut();
  // Forgets what an attempt that failed has left: its slots run again, to the same bits.
  void DropOverlapping(const ReducedGroup& reduced);
  // Pushes the blocks of `held` that belong to `shard`, or all of them.
  void PushHeld(const Held& held, int shard);
  // Of the version of work_; an error for an evaluation when servers have sent no average.
  absl::StatusOr<const float*> Parameters() const;
  void BeginUnit();
  void EndUnit();
  // Pushes what has been reduced of the unit so far as smaller nodes; the work is over.
  void GiveUpUnit();
  void EndWork();
  void Fail(const absl::Status& status);
  void FailLoss(const char* reason);
  void ReportFailure(NodeReport report, const std::string& reason);
  void Report(NodeReport report);

  const Options options_;
  ParameterLink* const link_;
  const SlotTree tree_;
  const std::vector<BlockSpec> blocks_;
  std::vector<GroupRange> groups_;
  std::vector<std::vector<uint32_t>> group_blocks_;  // by group
  uint64_t elements_ = 0;                            // of θ
  const std::shared_ptr<ArrayPool> pool_;
  // A version's parameters.
  struct VersionMemory {
    FloatArray theta;
    FloatArray average;             // null: the job has none
    std::vector<bool> has_average;  // by block
  };
  std::vector<VersionMemory> versions_;  // by WorkerCore::MemoryOf

  WorkerCore core_;
  View view_;
  std::vector<Held> held_;
  bool open_ = false;                 // the push streams of the current view accept contributions
  std::optional<NodeReport> failed_;  // if set, no slot runs until there is another view or target

  // ---- of the runner ----
  Work work_;                             // kNone: none in progress
  size_t next_ = 0;                       // the next of work_.units, or of work_.slots
  SlotRun run_;                           // the running slot
  uint32_t slot_ = 0;                     // the next slot of the unit
  std::unique_ptr<UnitReducer> reducer_;  // of the unit; null: none has begun
  std::vector<ReducedGroup> reduced_;     // by the last call of reducer_
  const char* bad_loss_ = nullptr;        // what is wrong with the running slot's loss; null: nothing
};

}  // namespace shoal::worker
