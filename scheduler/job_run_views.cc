// Views and restore points of a job: who holds which shards and slots, and since when.
#include <algorithm>
#include <iterator>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/sha256.h"
#include "common/protocol/blocks.h"
#include "common/storage/checkpoint.h"
#include "common/storage/restore_trouble.h"
#include "scheduler/job_run.h"
#include "scheduler/placement.h"

namespace shoal::scheduler {
namespace {

std::string Names(const std::vector<NodeRef>& nodes) {
  return absl::StrJoin(nodes, ", ",
                       [](std::string* out, const NodeRef& node) { absl::StrAppend(out, node.name()); });
}

}  // namespace

void JobRun::OnInstalled(absl::Time now, const Member& member, const ViewInstalled& report) {
  if (report.view() > state_.view().view() || !HoldsAnyShard(member.id)) return;  // it was not told of it
  NodeState& node = nodes_[member.id];
  if (report.error().empty()) {
    node.installed = std::max(node.installed, report.view());
    node.failed_restores = 0;
    first_failed_restore_ = absl::InfiniteFuture();
    return;
  }
  if (report.view() != state_.view().view()) return;
  Message(now,
          absl::StrCat(member.name, " could not load version ", state_.view().restore().version(), ": ",
                       report.error()),
          LogLine::Level::kError);
  const RestorePoint& restore = state_.view().restore();
  if (report.trouble() != RESTORE_TROUBLE_DAMAGED || restore.checkpoint().empty())
    return StandAside(now, member.id, report.error(), report.trouble());
  // A server whose memory or mount is broken calls every checkpoint damaged: the files decide.
  const Version version(restore.version());
  const bool checked = std::any_of(accused_.begin(), accused_.end(),
                                   [&](const auto& entry) { return entry.first.second == version; });
  if (!checked) out_->Do(CheckCheckpointFiles{id(), version, restore.checkpoint()});
  accused_[{restore.restore_id(), version}][member.id] = report.error();
}

void JobRun::OnCheckpointChecked(absl::Time now, Version version, const absl::Status& health) {
  files_since_ = absl::InfiniteFuture();
  // What was said of a former restore point is void: the server is asked to load another one by now.
  std::map<NodeId, std::string> accused;
  for (auto at = accused_.begin(); at != accused_.end();) {
    const auto& [restore_id, of] = at->first;
    if (of == version && restore_id == state_.view().restore().restore_id()) accused = at->second;
    at = of == version ? accused_.erase(at) : std::next(at);
  }
  if (ended()) return;
  if (IsCheckpointDamage(health)) return LoseCheckpoint(now, version, health);
  const std::string confirmed = health.ok() ? "" : absl::StrCat("; the scheduler: ", health.message());
  for (const auto& [server, error] : accused)
    StandAside(now, server, absl::StrCat(error, confirmed), RestoreTroubleOf(health));
}

void JobRun::LoseCheckpoint(absl::Time now, Version version, const absl::Status& health) {
  Message(now,
          absl::StrCat("the checkpoint of version ", version.value(),
                       " can't be used any more: ", health.message()),
          LogLine::Level::kError);
  if (!RemoveCheckpoint(version, &state_)) return;
  // Servers that are past it don't write it again.
  AddFailedWrite(version, std::string(health.message()), FailedWrite::LOST);
  const RestorePoint& restore = state_.view().restore();
  if (restore.version() == version.value() && !Installed()) WantRestore();
}

absl::Duration JobRun::PauseAfter(uint32_t failures) const {
  return std::min(options_.refused_again * (1u << std::min(failures, 20u)), options_.refused_again_longest);
}

void JobRun::StandAside(absl::Time now, NodeId server, const std::string& error, RestoreTrouble trouble) {
  NodeState& node = nodes_[server];
  if (HasWork(server) && node.installed != state_.view().view()) WantRestore();
  node.prepared = false;
  node.offered = false;
  node.refused = error;
  node.ask_again = now + PauseAfter(node.failed_restores);
  node.trouble = trouble;
  first_failed_restore_ = std::min(first_failed_restore_, now);
  ++node.failed_restores;
  uint32_t failed = 0;
  std::set<RestoreTrouble> troubles;
  for (const auto& [id, member] : members_.all()) {
    if (member.join.role() != NODE_ROLE_SERVER || member.leaving) continue;
    const NodeState& other = nodes_[id];
    if (other.failed_restores + other.refusals < kMaxAttempts) {
      if (IsAwaited(now, id, first_failed_restore_)) return;
      continue;
    }
    troubles.insert(other.trouble);
    ++failed;
  }
  // A good one, or what they lack, may be about to come back.
  if (!lost_artifact_.empty() && MayBeRederived()) return;
  if (failed < definition_.spec().cluster().min_servers()) return;
  OnAllServersFailed(now, error, troubles);
}

void JobRun::OnAllServersFailed(absl::Time now, const std::string& error,
                                const std::set<RestoreTrouble>& troubles) {
  const bool storage = troubles.count(RESTORE_TROUBLE_STORAGE) > 0;
  if (now - first_failed_restore_ < (storage ? options_.storage_patience : options_.derive_patience)) return;
  const Version version(state_.view().restore().version());
  const bool unreadable = !storage && troubles.count(RESTORE_TROUBLE_UNREADABLE) > 0;
  if (!unreadable || FindCheckpoint(state_, version) == nullptr) return End(now, JOB_STATE_FAILED, error);
  RetryServers();
  LoseCheckpoint(now, version,
                 absl::UnknownError(absl::StrCat(error, " (all servers have tried; its files stay)")));
}

void JobRun::RetryServers() {
  first_failed_restore_ = absl::InfiniteFuture();
  for (auto& [id, node] : nodes_) {
    if (std::exchange(node.failed_restores, 0) > 0) node.ask_again = absl::InfinitePast();
  }
}

// Whether all servers hold the view.
bool JobRun::Installed() const {
  return std::all_of(state_.view().shards().begin(), state_.view().shards().end(),
                     [&](const ShardAssignment& shard) {
                       const auto node = nodes_.find(NodeId(shard.primary().node_id()));
                       return node != nodes_.end() && node->second.installed == state_.view().view();
                     });
}

bool JobRun::HoldsShard(NodeId node, uint32_t shard) const {
  return shard < static_cast<uint32_t>(state_.view().shards_size()) &&
         state_.view().shards(static_cast<int>(shard)).primary().node_id() == node.value();
}

bool JobRun::HoldsAnyShard(NodeId node) const {
  return std::any_of(state_.view().shards().begin(), state_.view().shards().end(),
                     [&](const ShardAssignment& shard) { return shard.primary().node_id() == node.value(); });
}

bool JobRun::HasHadSlot(NodeId node, uint32_t slot) const {
  const auto found = nodes_.find(node);
  return found != nodes_.end() &&
         std::any_of(found->second.slots.begin(), found->second.slots.end(),
                     [&](SlotRange had) { return had.begin <= slot && slot < had.end; });
}

void JobRun::NoteSlots() {
  for (const SlotAssignment& assignment : state_.view().slots()) {
    nodes_[NodeId(assignment.worker().node_id())].slots.insert(
        {assignment.slot_begin(), assignment.slot_end()});
  }
}

bool JobRun::HasWork(NodeId node) const {
  return state_.deriver() == node.value() || HoldsAnyShard(node) || HasSlots(node);
}

bool JobRun::HasSlots(NodeId node) const {
  return std::any_of(state_.view().slots().begin(), state_.view().slots().end(),
                     [&](const SlotAssignment& slots) { return slots.worker().node_id() == node.value(); });
}

std::vector<NodeRef> JobRun::Primaries() const {
  std::vector<NodeRef> primaries;
  for (const ShardAssignment& shard : state_.view().shards()) primaries.push_back(shard.primary());
  return primaries;
}

bool JobRun::IsSuspect(absl::Time now, NodeId node) const {
  const auto found = nodes_.find(node);
  return watch_.Suspect(node) != nullptr || (found != nodes_.end() && now < found->second.aside_until);
}

Team JobRun::ChooseNodes(absl::Time now, const std::vector<NodeRef>& servers,
                         const std::vector<NodeRef>& workers) const {
  TeamRequest request;
  request.servers = servers;
  request.workers = workers;
  if (state_.view().view() > 0 && !state_.restore_wanted() && PrimariesUsable())
    request.current = Primaries();
  const bool all_well =
      watch_.AllWell() && std::none_of(nodes_.begin(), nodes_.end(),
                                       [&](const auto& entry) { return now < entry.second.aside_until; });
  if (all_well) {
    const bool keeps = !request.current.empty();
    return {keeps ? request.current : servers, workers, keeps};
  }
  request.suspect = [&](const NodeRef& node) { return IsSuspect(now, NodeId(node.node_id())); };
  request.cut = [this](const NodeRef& a, const NodeRef& b) {
    return watch_.IsCut(NodeId(a.node_id()), NodeId(b.node_id()));
  };
  return ChooseTeam(request);
}

void JobRun::TellWhoIsLeftOut(absl::Time now, const View& next) {
  std::vector<NodeRef> former, kept;
  for (const ShardAssignment& shard : next.shards()) kept.push_back(shard.primary());
  for (const SlotAssignment& slots : next.slots()) kept.push_back(slots.worker());
  for (const SlotAssignment& slots : state_.view().slots()) former.push_back(slots.worker());
  for (const NodeRef& server : Primaries()) former.push_back(server);
  for (const NodeRef& node : former) {
    const NodeId id(node.node_id());
    const auto is = [&](const NodeRef& other) { return other.node_id() == node.node_id(); };
    const Member* const member = members_.Find(id);
    if (member == nullptr || member->leaving || std::any_of(kept.begin(), kept.end(), is)) continue;
    const auto cut = std::find_if(kept.begin(), kept.end(), [&](const NodeRef& other) {
      return watch_.IsCut(id, NodeId(other.node_id()));
    });
    if (const std::string* const why = watch_.Suspect(id)) {
      Intervene(now, absl::StrCat(member->name, " ", *why, ": its work goes to others"));
    } else if (cut != kept.end()) {
      Intervene(now,
                absl::StrCat(member->name, " and ", cut->name(), " are cut off from each other: the work of ",
                             member->name, " goes to others"));
    }
  }
}

std::string JobRun::Troubles() const {
  if (watch_.AllWell()) return write_trouble_;
  std::vector<std::string> troubles;
  if (state_.view().view() > 0) troubles = watch_.Cuts(members_);
  for (const auto& [id, node] : nodes_) {
    const Member* const member = members_.Find(id);
    if (member != nullptr && watch_.Suspect(id) != nullptr && HasWork(id))
      troubles.push_back(absl::StrCat(member->name, " does not get on, and nobody else can do its work"));
  }
  constexpr size_t kMaxTroubles = 8;
  if (troubles.size() > kMaxTroubles) {
    const size_t more = troubles.size() - kMaxTroubles;
    troubles.resize(kMaxTroubles);
    troubles.push_back(absl::StrCat("and ", more, " more"));
  }
  if (!write_trouble_.empty()) troubles.insert(troubles.begin(), write_trouble_);
  return absl::StrJoin(troubles, "; ");
}

bool JobRun::PrimariesUsable() const {
  const std::vector<NodeRef> usable = Usable(NODE_ROLE_SERVER);
  return std::all_of(
      state_.view().shards().begin(), state_.view().shards().end(), [&](const ShardAssignment& shard) {
        return std::any_of(usable.begin(), usable.end(),
                           [&](const NodeRef& node) { return node.node_id() == shard.primary().node_id(); });
      });
}

RestorePoint JobRun::NextRestore() const {
  RestorePoint restore;
  restore.set_restore_id(state_.view().restore().restore_id() + 1);
  // Not beyond the next verdict, nor beyond the rounds whose statistics are known: servers may have told of
  // such checkpoints to an older copy of the store.
  Version limit(state_.state() == JOB_STATE_TESTING ? state_.kept_version() : CurrentTarget(0).version());
  if (outdated_) limit = std::min(limit, window_.version());
  const StoredCheckpoint* const newest = NewestCheckpoint(state_, limit);
  if (newest != nullptr) {
    restore.set_version(newest->version());
    restore.set_checkpoint(newest->directory());
  }
  return restore;
}

// Another cluster has another id, and a store that was lost, or an older one that was put back, comes to its
// first view at another time: so nobody needs to draw a number, and to keep it before it is known to be used.
TrainingId JobRun::NewTrainingId(absl::Time now) const {
  Sha256 sha256;
  sha256.Add(absl::StrCat(definition_.cluster_id(), "/", definition_.job(), "/",
                          definition_.submitted_unix_ms(), "/", absl::ToUnixNanos(now), "/",
                          state_.view().training_id()));
  const Sha256Digest digest = sha256.Digest();
  uint64_t id = 0;
  for (int i = 0; i < 8; ++i) id = id << 8 | digest[i];
  return TrainingId(std::max<uint64_t>(id, 1));
}

void JobRun::PlaceNodes(absl::Time now) {
  placed_ = false;
  const View& current = state_.view();
  const std::vector<NodeRef> servers = Usable(NODE_ROLE_SERVER);
  const std::vector<NodeRef> workers = Usable(NODE_ROLE_WORKER);
  if (current.view() == 0 && !Settled(now, servers.size(), workers.size())) return;
  if (workers.empty()) return Explain(absl::StrCat("waits for a worker", Refusals()));

  View next;
  next.set_job(definition_.job());
  next.set_view(current.view() + 1);
  next.set_training_id(current.view() == 0 ? NewTrainingId(now).value() : current.training_id());
  const Team team = ChooseNodes(now, servers, workers);
  for (SlotAssignment& slots : AssignSlots(definition_.spec().train().slots(), team.workers))
    *next.add_slots() = std::move(slots);
  if (team.keeps_current) {
    *next.mutable_shards() = current.shards();
    *next.mutable_restore() = current.restore();
    View unchanged = next;
    unchanged.set_view(current.view());
    placed_ = true;
    if (state_.state() == JOB_STATE_RUNNING) Explain(Troubles());
    if (!renew_view_ && unchanged.SerializeAsString() == current.SerializeAsString()) return;
    TellWhoIsLeftOut(now, next);
    return WriteView(now, std::move(next));
  }
  if (servers.empty()) return Explain(absl::StrCat("waits for a server", Refusals()));
  const std::vector<uint64_t> sizes(definition_.plan().group_sizes().begin(),
                                    definition_.plan().group_sizes().end());
  const uint64_t blocks = CutBlocks(sizes, options_.max_block_elements).size();
  for (ShardAssignment& shard : AssignShards(blocks, team.servers)) *next.add_shards() = std::move(shard);
  TellWhoIsLeftOut(now, next);
  *next.mutable_restore() = NextRestore();
  state_.set_restore_wanted(false);
  state_.clear_failed_writes();
  if (state_.state() == JOB_STATE_TESTING) state_.set_past_kept(false);
  placed_ = true;
  WriteView(now, std::move(next));
  StartRestorePoint(now);
  // Behind the former ones' commits that are under way. What comes late goes with the next, or the job's end.
  out_->Do(DeletePartialFiles{definition_.checkpoint_dir(), restore_id()});
}

void JobRun::WriteView(absl::Time now, View view) {
  const bool first = view.view() == 1;
  const bool restores = first || view.restore().restore_id() != state_.view().restore().restore_id();
  std::vector<NodeRef> servers, workers;
  for (const ShardAssignment& shard : view.shards()) servers.push_back(shard.primary());
  for (const SlotAssignment& slots : view.slots()) workers.push_back(slots.worker());
  std::string from;
  if (restores) {
    from = absl::StrCat(first ? "; starts" : "; goes back to", first ? " from " : " ",
                        view.restore().checkpoint().empty()
                            ? "the initial parameters"
                            : absl::StrCat("the checkpoint of version ", view.restore().version()));
  }
  *state_.mutable_view() = std::move(view);
  NoteSlots();
  renew_view_ = false;
  first_in_view_.clear();
  if (first) {
    state_.set_started_unix_ms(absl::ToUnixMillis(now));
    window_.Start(now, Version(state_.recorded_version()));
    SetState(now, JOB_STATE_RUNNING, "");
  }
  Explain("");
  Message(now, absl::StrCat("view ", state_.view().view(), ": shards on ", Names(servers), "; slots on ",
                            Names(workers), from));
}

void JobRun::StartRestorePoint(absl::Time now) {
  restore_view_ = state_.view().view();
  collector_.Reset(state_.view().restore().restore_id(), state_.view().shards_size());
  for (auto& [id, node] : nodes_) node.slots.clear();
  NoteSlots();
  // Commits that wait are of versions that are run, and written, again.
  for (auto at = commits_.begin(); at != commits_.end();)
    at = at->second.waits() ? commits_.erase(at) : std::next(at);
  write_trouble_.clear();
  ForgetProgress(now);
}

void JobRun::ForgetProgress(absl::Time now) {
  shards_.assign(state_.view().shards_size(), ShardState{Version(state_.view().restore().version()), {}});
  moved_ = now;
}

Version JobRun::LowestVersion() const {
  if (shards_.empty()) return Version(definition_.origin_version());
  Version lowest = shards_.front().version;
  for (const ShardState& shard : shards_) lowest = std::min(lowest, shard.version);
  return lowest;
}

// Servers first; workers when all of them hold the view.
void JobRun::Announce() {
  const View& current = state_.view();
  if (current.view() == 0) return;
  Directive view;
  *view.mutable_view() = current;
  *view.mutable_view()->mutable_target() = CurrentTarget(current.restore().restore_id());
  bool installed = true;
  for (const ShardAssignment& shard : current.shards()) {
    NodeState& node = nodes_[NodeId(shard.primary().node_id())];
    if (node.installed == current.view()) continue;
    installed = false;
    const Member* const member = members_.Find(NodeId(shard.primary().node_id()));
    if (member == nullptr || !member->connected || node.told == current.view()) continue;
    node.told = current.view();
    out_->Send(member->id, view);
  }
  if (!installed) return;
  Directive target;
  *target.mutable_target() = view.view().target();
  const std::string text = target.SerializeAsString();
  for (auto& [id, node] : nodes_) {
    const Member* const member = members_.Find(id);
    if (member == nullptr || !member->is_worker() || !member->connected || !node.prepared) continue;
    if (node.told != current.view()) {
      out_->Send(id, view);
    } else if (node.target != text) {
      out_->Send(id, target);
    }
    node.told = current.view();
    node.target = text;
  }
}

}  // namespace shoal::scheduler
