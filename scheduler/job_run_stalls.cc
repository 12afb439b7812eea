// What a job does on which nothing moves though nobody says why (scheduler/last_resort.h).
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "scheduler/job_run.h"

namespace shoal::scheduler {
namespace {

std::string Seconds(absl::Duration duration) {
  return absl::StrFormat("%.1f s", absl::ToDoubleSeconds(duration));
}

}  // namespace

void JobRun::HelpOn(absl::Time now) {
  const absl::Duration silence = last_resort_.Silence(now);
  const LastResort::Step step =
      last_resort_.Advance(now, {CurrentMilestone(), LastSign(now), WaitsForOthers()});
  if (step == LastResort::Step::kNone) return;
  const std::string why = absl::StrCat("nothing has moved for ", Seconds(silence),
                                       ", and nobody says why; what is missing: ", DebtorsText());
  if (step == LastResort::Step::kGiveUp) {
    return End(now, JOB_STATE_FAILED,
               absl::StrCat(why, "; it did not help to ", absl::StrJoin(tried_, ", nor to ")));
  }
  const char* remedy = "deliver all messages again, in new sessions and a new view";
  if (step == LastResort::Step::kMoveWork) {
    remedy = "move work off these nodes";
    SetAside(now);
  } else if (step == LastResort::Step::kGoBack) {
    remedy = "go back to the newest checkpoint";
    if (state_.view().view() > 0) WantRestore();
  } else {
    tried_.clear();
  }
  renew_view_ = state_.view().view() > 0;
  RenewSessions();
  tried_.push_back(remedy);
  Intervene(now, absl::StrCat(why, ": tries to ", remedy));
}

bool JobRun::FilesAtWork() const {
  return computing_result_ || !accused_.empty() ||
         std::any_of(commits_.begin(), commits_.end(),
                     [](const auto& commit) { return !commit.second.waits(); });
}

void JobRun::WatchFiles(absl::Time now) {
  if (!FilesAtWork()) {
    files_since_ = absl::InfiniteFuture();
    return;
  }
  files_since_ = std::min(files_since_, now);
  if (now - files_since_ < options_.storage_patience) return;
  const std::string why =
      absl::StrCat("the scheduler has been at its files in ", definition_.checkpoint_dir(), " for ",
                   Seconds(now - files_since_),
                   " without an end: see to the storage, or allow more (--storage-patience-ms)");
  if (state_.state() == JOB_STATE_TESTING || !accused_.empty()) return End(now, JOB_STATE_FAILED, why);
  if (std::exchange(files_told_, files_since_) != files_since_) Message(now, why, LogLine::Level::kWarning);
}

// ---- what is known ----

LastResort::Milestone JobRun::CurrentMilestone() const {
  uint64_t prepared = 0, installed = 0;
  for (const auto& [id, node] : nodes_) {
    prepared += node.prepared;
    installed += node.installed == state_.view().view() && node.installed > 0;
  }
  const uint64_t phase = !has_plan() ? 0 : state_.view().view() == 0 ? 1 : state_.state();
  return {phase, evaluations_.size(), LowestVersion().value(), evaluated_.size(),
          state_.view().view() == 0 ? prepared : installed};
}

std::vector<NodeId> JobRun::NeededNodes() const {
  std::vector<NodeId> needed;
  if (!has_plan()) {
    if (state_.deriver() != 0) needed.emplace_back(state_.deriver());
    return needed;
  }
  if (state_.view().view() > 0) {
    for (const NodeRef& server : Primaries()) needed.emplace_back(server.node_id());
    for (const SlotAssignment& slots : state_.view().slots()) needed.emplace_back(slots.worker().node_id());
    return needed;
  }
  return UnansweredOffers();
}

// Of the role that the job lacks, if the answers could be enough to begin: else it waits for more nodes.
std::vector<NodeId> JobRun::UnansweredOffers() const {
  const ClusterSpec& wants = definition_.spec().cluster();
  std::vector<NodeId> unanswered;
  for (NodeRole role : {NODE_ROLE_SERVER, NODE_ROLE_WORKER}) {
    const uint32_t minimum = role == NODE_ROLE_SERVER ? wants.min_servers() : wants.min_workers();
    size_t there = Usable(role).size();
    if (there >= minimum) continue;
    for (const auto& [id, node] : nodes_) {
      const Member* const member = members_.Find(id);
      if (member == nullptr || member->join.role() != role || member->leaving || !node.offered ||
          node.prepared || !node.refused.empty())
        continue;
      unanswered.push_back(id);
      ++there;
    }
    if (there < minimum) return {};
  }
  return unanswered;
}

absl::Time JobRun::LastSign(absl::Time now) const {
  absl::Time last = absl::InfinitePast();
  const std::map<NodeId, std::string> debtors = Debtors();
  for (NodeId node : NeededNodes()) {
    const Heartbeat* const heartbeat = watch_.Last(node);
    if (heartbeat == nullptr) continue;
    for (const Activity& activity : heartbeat->activities()) {
      if (activity.job() != definition_.job()) continue;
      // A disk may be full for as long as it likes: it counts when it is what is waited for.
      if (activity.kind() == ACTIVITY_WRITE_CHECKPOINT && state_.state() != JOB_STATE_TESTING &&
          debtors.count(node) == 0)
        continue;
      const bool watched = watch_.Deadline(id(), activity.kind()) < absl::InfiniteDuration();
      const absl::Duration idle = absl::Seconds(std::max(0.0, activity.idle_seconds()));
      last = std::max(last, watched ? now : now - idle);
    }
  }
  return last;
}

// What the watch acts on, or says why it can't.
bool JobRun::IsBlamed(const std::vector<NodeId>& nodes) const {
  if (watch_.AllWell()) return false;
  for (size_t i = 0; i < nodes.size(); ++i) {
    if (watch_.Suspect(nodes[i]) != nullptr) return true;
    for (size_t j = 0; j < i; ++j) {
      if (watch_.IsCut(nodes[i], nodes[j])) return true;
    }
  }
  return false;
}

bool JobRun::WaitsForOthers() const {
  const std::vector<NodeId> needed = NeededNodes();
  if (needed.empty() || IsBlamed(needed)) return true;
  const bool connected = std::all_of(needed.begin(), needed.end(), [&](NodeId node) {
    const Member* const member = members_.Find(node);
    return member != nullptr && member->connected;
  });
  if (!connected) return true;  // its lease ends, or it comes back
  if (state_.view().view() == 0) return false;
  if (!placed_) return true;  // for nodes
  // The scheduler itself reads or writes files.
  if (!accused_.empty() || computing_result_) return true;
  // The result's are not written or read yet, or can't be for now.
  return state_.state() == JOB_STATE_TESTING &&
         (!commits_.empty() || !write_trouble_.empty() || result_trouble_.failures > 0);
}

void JobRun::AddRoundDebtors(std::map<NodeId, std::string>* debtors) const {
  const Target target = CurrentTarget(0);
  for (const SlotAssignment& slots : state_.view().slots()) {
    const SlotRange range{slots.slot_begin(), slots.slot_end()};
    if (Misses(range, target))
      (*debtors)[NodeId(slots.worker().node_id())] = absl::StrCat("slots ", range.ToString());
  }
  if (!debtors->empty()) return;
  // No slot is missing, so it is the servers' turn.
  for (size_t shard = 0; shard < shards_.size(); ++shard) {
    const NodeRef& primary = state_.view().shards(static_cast<int>(shard)).primary();
    if (shards_[shard].version == LowestVersion())
      (*debtors)[NodeId(primary.node_id())] =
          absl::StrCat("shard ", shard, " beyond version ", shards_[shard].version.value());
  }
}

std::map<NodeId, std::string> JobRun::Debtors() const {
  std::map<NodeId, std::string> debtors;
  if (!has_plan()) {
    for (NodeId node : NeededNodes()) debtors[node] = "the plan";
  } else if (state_.view().view() == 0) {
    for (NodeId node : NeededNodes()) debtors[node] = "the answer to the offer of the job";
  } else if (!Installed()) {
    for (const NodeRef& server : Primaries()) {
      const auto node = nodes_.find(NodeId(server.node_id()));
      if (node == nodes_.end() || node->second.installed != state_.view().view())
        debtors[NodeId(server.node_id())] = absl::StrCat("view ", state_.view().view());
    }
  } else {
    AddRoundDebtors(&debtors);
  }
  return debtors;
}

std::string JobRun::DebtorsText() const {
  std::vector<std::string> texts;
  for (const auto& [id, what] : Debtors()) {
    const Member* const member = members_.Find(id);
    texts.push_back(absl::StrCat(what, " of ", member == nullptr ? "a lost node" : member->name));
  }
  return texts.empty() ? "unknown" : absl::StrJoin(texts, ", ");
}

// ---- what is done ----

void JobRun::RenewSessions() {
  for (NodeId node : NeededNodes()) stale_sessions_.push_back(node);
}

void JobRun::SetAside(absl::Time now) {
  for (const auto& [node, what] : Debtors()) nodes_[node].aside_until = now + options_.watch.silent_for;
}

}  // namespace shoal::scheduler
