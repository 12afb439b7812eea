#include "scheduler/view_rollout.h"

#include <algorithm>
#include <utility>

#include "scheduler/view_roles.h"

namespace shoal::scheduler {
namespace {

bool SameTarget(const Target& a, const Target& b) {
  return a.job() == b.job() && a.restore_id() == b.restore_id() && a.version() == b.version() &&
         a.evaluate() == b.evaluate();
}

}  // namespace

void ViewRollout::Load(const JobStateRecord& record) {
  view_ = record.view();
  restore_wanted_ = record.restore_wanted();
  BeginRestorePoint(/*known=*/false);
}

void ViewRollout::SaveTo(JobStateRecord* record) const {
  if (has_view()) *record->mutable_view() = view_;
  record->set_restore_wanted(restore_wanted_);
}

void ViewRollout::OnPrepared(NodeId node) {
  nodes_[node].told = 0;
  nodes_[node].target.Clear();
}

void ViewRollout::OnInstalled(NodeId node, uint64_t view) {
  nodes_[node].installed = std::max(nodes_[node].installed, view);
}

bool ViewRollout::Accepts(const ShardProgress& report) const {
  return report.view() >= restore_view_ && report.shard() < shards_.size();
}

bool ViewRollout::AddProgress(const ShardProgress& report) {
  Shard& shard = shards_[report.shard()];
  const bool further = shard.version < Version(report.version());
  if (further) shard.version = Version(report.version());
  shard.known = true;
  shard.missing.assign(report.missing().begin(), report.missing().end());
  return further;
}

bool ViewRollout::IsProven(const ShardProgress& report) {
  if (report.view() != view_.view()) return false;
  first_in_view_.emplace(report.shard(), Version(report.version()));
  if (first_in_view_.size() < shards_.size()) return false;
  uint64_t first = 0;
  for (const auto& [shard, version] : first_in_view_) first = std::max(first, version.value());
  return LowestVersion().value() >= first + 2;
}

std::set<NodeId> ViewRollout::Close() {
  std::set<NodeId> former;
  for (const auto& [id, node] : nodes_) former.insert(id);
  nodes_.clear();
  return former;
}

void ViewRollout::Begin(View view) {
  const bool restores = !has_view() || RestoreId(view.restore().restore_id()) != restore_id();
  view_ = std::move(view);
  renew_wanted_ = false;
  first_in_view_.clear();
  if (restores) {
    restore_wanted_ = false;
    BeginRestorePoint(/*known=*/true);
  } else {
    NoteSlots();
  }
}

void ViewRollout::BeginRestorePoint(bool known) {
  restore_view_ = view_.view();
  for (auto& [id, node] : nodes_) node.slots.clear();
  NoteSlots();
  shards_.assign(view_.shards_size(), Shard{restore_version(), known, {}});
}

void ViewRollout::NoteSlots() {
  for (const SlotAssignment& assignment : view_.slots()) {
    nodes_[NodeId(assignment.worker().node_id())].slots.insert(
        {assignment.slot_begin(), assignment.slot_end()});
  }
}

void ViewRollout::Announce(const Membership& members, const std::function<bool(NodeId)>& prepared,
                           const Target& target, Outbox* out) {
  if (!has_view()) return;
  Directive view;
  *view.mutable_view() = view_;
  *view.mutable_view()->mutable_target() = target;
  for (const NodeRef& primary : Primaries(view_)) {
    Holder& node = nodes_[NodeId(primary.node_id())];
    const Member* const member = members.Find(NodeId(primary.node_id()));
    if (node.installed == view_.view() || node.told == view_.view()) continue;
    if (member == nullptr || !member->connected || !prepared(member->id)) continue;
    node.told = view_.view();
    out->Send(member->id, view);
  }
  if (!IsInstalled()) return;
  Directive moved;
  *moved.mutable_target() = target;
  for (const auto& [id, member] : members.all()) {
    if (!member.is_worker() || !member.connected || !prepared(id)) continue;
    Holder& node = nodes_[id];
    if (node.told != view_.view()) {
      out->Send(id, view);
    } else if (!SameTarget(node.target, target)) {
      out->Send(id, moved);
    }
    node.told = view_.view();
    node.target = target;
  }
}

bool ViewRollout::Holds(NodeId node) const {
  const auto found = nodes_.find(node);
  return found != nodes_.end() && found->second.installed == view_.view();
}

bool ViewRollout::IsInstalled() const {
  const std::vector<NodeRef> primaries = Primaries(view_);
  return std::all_of(primaries.begin(), primaries.end(),
                     [this](const NodeRef& primary) { return Holds(NodeId(primary.node_id())); });
}

size_t ViewRollout::CountInstalled() const {
  return std::count_if(nodes_.begin(), nodes_.end(), [this](const auto& entry) {
    return entry.second.installed == view_.view() && has_view();
  });
}

bool ViewRollout::HasHadSlot(NodeId node, uint32_t slot) const {
  const auto found = nodes_.find(node);
  return found != nodes_.end() &&
         std::any_of(found->second.slots.begin(), found->second.slots.end(),
                     [&](SlotRange had) { return had.begin <= slot && slot < had.end; });
}

Version ViewRollout::LowestVersion() const {
  if (shards_.empty()) return origin_;
  Version lowest = shards_.front().version;
  for (const Shard& shard : shards_) lowest = std::min(lowest, shard.version);
  return lowest;
}

bool ViewRollout::KnowsVersion() const {
  return std::all_of(shards_.begin(), shards_.end(), [](const Shard& shard) { return shard.known; });
}

bool ViewRollout::Misses(SlotRange slots) const {
  return std::any_of(shards_.begin(), shards_.end(), [&](const Shard& shard) {
    return std::any_of(shard.missing.begin(), shard.missing.end(), [&](const MissingSlots& missing) {
      return slots.Overlaps({missing.slot_begin(), missing.slot_end()});
    });
  });
}

}  // namespace shoal::scheduler
