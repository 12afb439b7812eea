// How far a job's current view has got: which nodes it was sent to, which hold it, and which versions
// its shards have.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "common/base/types.h"
#include "proto/scheduler.pb.h"
#include "scheduler/actions.h"
#include "scheduler/membership.h"
#include "scheduler/records.pb.h"

namespace shoal::scheduler {

// It owns `view` and `restore_wanted` of the state. A restart forgets what was sent to which node,
// which nodes hold the view and how far the shards are: all of it is sent and reported again in new sessions.
// Pure; not thread-safe.
class ViewRollout {
 public:
  // `origin`: the version that the job starts from.
  explicit ViewRollout(Version origin) : origin_(origin) {}

  void Load(const JobStateRecord& record);
  void SaveTo(JobStateRecord* record) const;

  const View& view() const { return view_; }  // view 0: none yet
  bool has_view() const { return view_.view() > 0; }
  RestoreId restore_id() const { return RestoreId(view_.restore().restore_id()); }
  Version restore_version() const { return Version(view_.restore().version()); }
  bool restore_wanted() const { return restore_wanted_; }
  bool renew_wanted() const { return renew_wanted_; }

  // ---- what has happened ----
  void OnSessionOpened(NodeId node) { OnPrepared(node); }
  void OnNodeLost(NodeId node) { nodes_.erase(node); }
  // The node has prepared, and may have dropped the view and the target that it was sent before.
  void OnPrepared(NodeId node);
  // The node has dropped the job.
  void OnDropped(NodeId node) { nodes_[node].installed = 0; }
  void OnInstalled(NodeId node, uint64_t view);
  // Nodes have had views that the store does not know: the next view belongs to another training.
  void BeginTraining(TrainingId training) {
    view_.set_training_id(training.value());
    nodes_.clear();
    WantRestore();
  }
  // The next view must not continue from the servers' state: it goes back to a checkpoint.
  void WantRestore() { restore_wanted_ = true; }
  // Asks for a new view even if nothing changes, so that a worker whose slots failed tries again.
  void WantRenewal() { renew_wanted_ = has_view(); }
  // Whether the report, by a shard's server for this view or an older one, belongs to the current restore
  // point.
  bool Accepts(const ShardProgress& report) const;
  // Adds an accepted report. Returns whether the shard got further.
  bool AddProgress(const ShardProgress& report);
  // Whether the workers of the current view have completed a whole version. Rounds in progress when the view
  // began may be others' work, so only the next whole version counts.
  bool IsProven(const ShardProgress& report);
  // Forgets all nodes and returns them.
  std::set<NodeId> Close();

  // ---- steps ----
  void Begin(View view);
  // Sends the view and the target to nodes that are `prepared`: to servers first, and to workers once all
  // servers hold the view.
  void Announce(const Membership& members, const std::function<bool(NodeId)>& prepared, const Target& target,
                Outbox* out);

  // ---- what is known ----
  bool Holds(NodeId node) const;
  // Whether all servers hold the view.
  bool IsInstalled() const;
  size_t CountInstalled() const;
  // Whether the node has the slot now, or has had it since the restore point: its result is the same.
  bool HasHadSlot(NodeId node, uint32_t slot) const;
  Version LowestVersion() const;
  // Whether the shards are known to be there; not after a restart, until their servers have told.
  bool KnowsVersion() const;
  // `shard`: of the current view.
  Version VersionOf(size_t shard) const { return shards_[shard].version; }
  // Whether some shard still lacks contributions of these slots.
  bool Misses(SlotRange slots) const;

 private:
  struct Holder {
    uint64_t installed = 0;     // the newest view that it holds (server)
    uint64_t told = 0;          // the newest view sent in this session
    Target target;              // the last one sent in this session; job 0: none
    std::set<SlotRange> slots;  // those it has, or has had since the restore point
  };
  struct Shard {
    Version version;
    bool known = false;  // otherwise the version is that of the restore point
    std::vector<MissingSlots> missing;
  };

  void NoteSlots();
  void BeginRestorePoint(bool known);

  const Version origin_;
  View view_;
  bool restore_wanted_ = false;

  // ---- what a restart forgets ----
  bool renew_wanted_ = false;
  std::map<NodeId, Holder> nodes_;
  std::vector<Shard> shards_;                  // by shard of the current view
  uint64_t restore_view_ = 0;                  // the first view of the restore point: older progress is void
  std::map<uint32_t, Version> first_in_view_;  // by shard: the version first reported in the current view
};

}  // namespace shoal::scheduler
