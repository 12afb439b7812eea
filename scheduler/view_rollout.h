// How far a job's current view has got: who was told of it, who holds it, which versions its shards have.
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

// Of the state it owns `view` and `restore_wanted`. A restart forgets who was told what, who holds the view
// and how far the shards are: nodes report it in their new sessions. Pure; not thread-safe.
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
  void OnSessionOpened(NodeId node) { OnPreparedAnew(node); }
  void OnNodeLost(NodeId node) { nodes_.erase(node); }
  // Whatever it held of the job it has dropped to prepare.
  void OnPreparedAnew(NodeId node);
  // It has dropped the job.
  void OnDropped(NodeId node) { nodes_[node].installed = 0; }
  void OnInstalled(NodeId node, uint64_t view);
  // What the server held when it was prepared: the state of this restore point, or what became of it; 0:
  // none.
  void OnStateTold(NodeId server, RestoreId restore_id);
  // Nodes have had views that the store does not know: the next one is of another training.
  void BeginTraining(TrainingId training) {
    view_.set_training_id(training.value());
    nodes_.clear();
    WantRestore();
  }
  // What servers hold is not to be gone on from: the next view goes back to a checkpoint.
  void WantRestore() { restore_wanted_ = true; }
  // The next view comes even if it is the same: whose slots failed tries again.
  void WantRenewal() { renew_wanted_ = has_view(); }
  // Of a shard's server, and of this view or an older one. False: it is of another restore point.
  bool Accepts(const ShardProgress& report) const;
  // Of an accepted one. True: the shard got further.
  bool AddProgress(const ShardProgress& report);
  // Whether the workers of the current view have brought a whole version about: rounds that were under way
  // when it came may be others' work, so the next whole one counts.
  bool IsProven(const ShardProgress& report);
  // Returns who was told anything.
  std::set<NodeId> Close();

  // ---- steps ----
  void Begin(View view);
  // Servers first; workers, if `prepared`, when all of them hold the view.
  void Announce(const Membership& members, const std::function<bool(NodeId)>& prepared, const Target& target,
                Outbox* out);

  // ---- what is known ----
  bool Holds(NodeId node) const;
  // Whether all servers hold the view.
  bool IsInstalled() const;
  // A server of the view that had no state of its restore point since all were last known to hold the view,
  // though shards have got beyond that point, for which all servers must have held it: it has dropped what
  // this scheduler has not asked it to drop. Null: none.
  const NodeRef* FindWithoutState() const;
  size_t CountInstalled() const;
  // Now, or since the restore point: its result is the same.
  bool HasHadSlot(NodeId node, uint32_t slot) const;
  Version LowestVersion() const;
  // By shard of the current view.
  Version VersionOf(size_t shard) const { return shards_[shard].version; }
  // Whether some shard still misses contributions of these.
  bool Misses(SlotRange slots) const;

 private:
  struct Holder {
    uint64_t installed = 0;     // newest view that it holds (server)
    bool stateless = false;     // held nothing of the restore point before all held the view (server)
    uint64_t told = 0;          // newest view that was sent in this session
    Target target;              // last one sent in this session; job 0: none
    std::set<SlotRange> slots;  // that it has, or has had since the restore point
  };
  struct Shard {
    Version version;
    std::vector<MissingSlots> missing;
  };

  void NoteSlots();
  void BeginRestorePoint();

  const Version origin_;
  View view_;
  bool restore_wanted_ = false;

  // ---- what a restart forgets ----
  bool renew_wanted_ = false;
  std::map<NodeId, Holder> nodes_;
  std::vector<Shard> shards_;                  // by shard of the current view
  uint64_t restore_view_ = 0;                  // first view of the restore point: older progress is void
  std::map<uint32_t, Version> first_in_view_;  // by shard: reported first in the current view
};

}  // namespace shoal::scheduler
