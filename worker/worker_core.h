// What a worker does next in one job: a pure state machine, "A round, at a worker" of docs/protocol.md.
//
// It holds no parameters and no gradients, only which versions of which blocks have arrived, which slots are
// done, and which view is current. worker/worker_rounds.h drives it and carries out its actions in order.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <variant>
#include <vector>

#include "common/base/types.h"
#include "common/protocol/round_policy.h"
#include "common/protocol/slot_tree.h"
#include "proto/scheduler.pb.h"

namespace shoal::worker {

// ---- actions ----

// Leave all streams. Ask every shard for its versions and call OnVersions.
struct AskVersions {
  ViewId view;
};
// Leave all streams of older views. Pull from every shard, and open the pushes: first push everything that is
// held again, under this view.
struct OpenStreams {
  ViewId view;
  Version from;
};
// Leave all streams, until the next view.
struct Disconnect {};
// Version round+1 has arrived completely: the contributions of `round` need not be held any longer.
struct ReleaseHeld {
  Round round;
};
// Drop the contributions of all rounds: they are void, or no longer this worker's.
struct DropHeld {};
struct SendReport {
  NodeReport report;
};
using WorkerAction = std::variant<AskVersions, OpenStreams, Disconnect, ReleaseHeld, DropHeld, SendReport>;

// ---- work ----

// One piece of work for the runner. `ticket` identifies it; a run that is no longer Wanted() should end soon,
// without effect.
struct Work {
  enum class Kind { kNone, kTrain, kEvaluate };
  Kind kind = Kind::kNone;
  uint64_t ticket = 0;
  Version version;  // of the parameters to compute with
  // kTrain: nodes of the slot tree, each reduced and pushed as one contribution.
  std::vector<SlotRange> units;
  std::vector<Slot> slots;  // kEvaluate
  EvaluationSet set = EVALUATION_SET_NONE;
};

// Not thread-safe. Never blocks. Bad input from the network (an unknown block number, a view with slots that
// the job does not have) is dropped.
class WorkerCore {
 public:
  struct Options {
    JobId job;
    NodeId self;
    uint32_t slots = 1;
    uint32_t blocks = 1;
    const RoundPolicy* rounds = &SynchronousRounds();
  };
  explicit WorkerCore(Options options);

  // ---- control plane ----
  // Older views are ignored; from the same view only the target is taken.
  void OnView(const View& view);
  void OnTarget(const Target& target);
  // The scheduler may have forgotten what was reported: reports it again.
  void OnSessionOpened();

  // ---- data plane ----
  void OnVersions(ViewId view, uint32_t shard, Version lowest);
  // A server no longer has the version that was asked for, or has never had the one before it: asks all for
  // their versions again. If that does not help, the servers' versions are further apart than those of one
  // training can be: reports JobRefused.outdated_training.
  void OnOutOfRange(ViewId view);

  enum class Offer {
    kTake,  // write it to the memory of its version (see MemoryOf), then call BlockStored
    kDrop,  // not needed
    kWait,  // its buffer is in use: offer it again after the next change of this core
  };
  Offer OfferBlock(ViewId view, Version version, BlockId block);
  void BlockStored(ViewId view, Version version, BlockId block);
  // Whether the block has arrived, so that the forward pass of its layer may start.
  bool HasBlock(Version version, BlockId block) const;
  // The caller has memory for this many versions of θ, and keeps a version in memory number MemoryOf.
  uint32_t memories() const { return options_.rounds->versions_kept(); }
  uint32_t MemoryOf(Version version) const { return version.value() % memories(); }
  // The oldest version of which blocks are still needed: where a broken Pull has to continue. (Not at the
  // newest version that arrived: blocks of different versions are interleaved.)
  Version PullFrom() const { return Complete(base_) ? base_ + 1 : base_; }

  // ---- runner ----
  // At most one piece of work is in progress at a time: the caller ends it with EndWork before asking again.
  Work NextWork();
  bool Wanted(uint64_t ticket) const;
  // The unit's contribution is final, held and passed to the push streams. Ignored when the work is no longer
  // wanted.
  void UnitDone(uint64_t ticket, SlotRange unit);
  void SlotEvaluated(uint64_t ticket, Slot slot, const EvaluationStatistics& statistics);
  void EndWork(uint64_t ticket);
  // For running training work: whether the view still assigns `slot` to this worker.
  bool Assigned(Slot slot) const;

  std::vector<WorkerAction> TakeActions();

  // For logs, tests and the status.
  ViewId view() const { return view_; }
  RestoreId restore_id() const { return restore_id_; }
  const Target& target() const { return target_; }
  Version base() const { return base_; }
  bool located() const { return located_; }

 private:
  enum class BlockState : uint8_t { kNone, kWriting, kHere };
  struct Buffer {
    std::vector<BlockState> blocks;
    uint32_t here = 0;
  };
  struct Running {
    Work work;
    RestoreId restore_id;
    bool cancelled = false;
  };

  Buffer& buffer(Version version) { return buffers_[MemoryOf(version)]; }
  const Buffer& buffer(Version version) const { return buffers_[MemoryOf(version)]; }
  // Whether the version has memory now: it is base_ or one of those after it.
  bool HasMemory(Version version) const {
    return version >= base_ && version.value() - base_.value() < buffers_.size();
  }
  bool Complete(Version version) const { return buffer(version).here == options_.blocks; }
  void Rewind(RestoreId restore_id);
  void Locate();
  void Connect();
  void CancelRun();
  void AdvanceWhileComplete();
  bool AllDone() const;
  bool InUse(Version version) const;
  Work TrainWork() const;
  Work EvaluateWork() const;
  // All results of the target.
  void ReportEvaluated();
  void Report(Slot slot, const EvaluationStatistics& statistics);

  const Options options_;
  const SlotTree tree_;

  ViewId view_;
  TrainingId training_;
  RestoreId restore_id_;
  uint32_t shards_ = 0;
  SlotRange assigned_;
  Target target_;

  bool located_ = false;                // base_ is known
  std::optional<Version> refused_;      // base_ when a server last refused it, until a version is complete
  std::map<uint32_t, Version> lowest_;  // while locating: by shard
  Version base_;                        // the version to compute with: complete, or still arriving
  std::vector<Buffer> buffers_;         // by MemoryOf: base_ and those after it
  std::vector<bool> done_;              // slots of round base_ whose contributions are held
  std::map<uint32_t, EvaluationStatistics> evaluated_;  // by slot, of target_
  std::optional<Running> running_;
  std::map<RestoredVersion, std::set<BlockId>> writes_;  // blocks being written
  std::map<ViewId, RestoreId> view_restore_;             // of the views with pending writes
  uint64_t next_ticket_ = 1;
  std::vector<WorkerAction> actions_;
};

}  // namespace shoal::worker
