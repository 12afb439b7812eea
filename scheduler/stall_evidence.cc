#include "scheduler/stall_evidence.h"

#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "scheduler/view_roles.h"

namespace shoal::scheduler {

LastResort::Situation StallEvidence::Situation(absl::Time now) const {
  return {Milestone(), LastSign(now), WaitsForOthers()};
}

LastResort::Milestone StallEvidence::Milestone() const {
  const uint64_t phase = !job.has_plan() ? 0 : !rollout.has_view() ? 1 : state;
  return {phase, evaluations.all().size(), rollout.LowestVersion().value(), evaluations.slots(),
          rollout.has_view() ? rollout.CountInstalled() : roll_call.CountPrepared()};
}

std::vector<NodeId> StallEvidence::NeededNodes() const {
  if (!rollout.has_view()) return job.has_plan() ? roll_call.Debtors() : derivation.Debtors();
  std::vector<NodeId> needed;
  for (const NodeRef& server : Primaries(rollout.view())) needed.emplace_back(server.node_id());
  for (const NodeRef& worker : SlotWorkers(rollout.view())) needed.emplace_back(worker.node_id());
  return needed;
}

std::vector<NodeId> StallEvidence::AwaitedNodes() const {
  if (!rollout.has_view() || !rollout.IsInstalled()) return NeededNodes();
  std::set<NodeId> awaited;
  for (const auto& [node, what] : Debtors()) awaited.insert(node);
  for (const NodeRef& server : Primaries(rollout.view())) awaited.emplace(server.node_id());
  return {awaited.begin(), awaited.end()};
}

absl::Time StallEvidence::LastSign(absl::Time now) const {
  absl::Time last = absl::InfinitePast();
  const JobId id(job.job());
  const std::map<NodeId, std::string> debtors = Debtors();
  for (NodeId node : NeededNodes()) {
    const Heartbeat* const heartbeat = context.watch.Last(node);
    if (heartbeat == nullptr) continue;
    for (const Activity& activity : heartbeat->activities()) {
      if (JobId(activity.job()) != id) continue;
      // A disk may stay full for any length of time: writing to it counts only when that is what the job
      // waits for.
      if (activity.kind() == ACTIVITY_WRITE_CHECKPOINT && state != JOB_STATE_TESTING &&
          debtors.count(node) == 0)
        continue;
      const bool watched = context.watch.Deadline(id, activity.kind()) < absl::InfiniteDuration();
      const absl::Duration idle = absl::Seconds(std::max(0.0, activity.idle_seconds()));
      last = std::max(last, watched ? now : now - idle);
    }
  }
  return last;
}

// Whether the progress watch blames one of the nodes, or a pair of them.
bool StallEvidence::IsBlamed(const std::vector<NodeId>& nodes) const {
  if (context.watch.AllWell()) return false;
  for (size_t i = 0; i < nodes.size(); ++i) {
    if (context.watch.Suspect(nodes[i]) != nullptr) return true;
    for (size_t j = 0; j < i; ++j) {
      if (context.watch.IsCut(nodes[i], nodes[j])) return true;
    }
  }
  return false;
}

bool StallEvidence::WaitsForOthers() const {
  const std::vector<NodeId> needed = NeededNodes();
  if (needed.empty() || IsBlamed(needed)) return true;
  const bool connected = std::all_of(needed.begin(), needed.end(), [&](NodeId node) {
    const Member* const member = context.members.Find(node);
    return member != nullptr && member->connected;
  });
  if (!connected) return true;  // its lease will end, or it will come back
  if (!rollout.has_view()) return false;
  if (!placed) return true;  // waits for nodes
  // The scheduler itself is reading or writing files.
  if (checkpoints.IsChecking() || completion.IsReading()) return true;
  // The result's files are not written or read yet, or can't be for now.
  return state == JOB_STATE_TESTING &&
         (checkpoints.HasCommits() || !checkpoints.write_trouble().empty() || completion.HasTrouble());
}

bool StallEvidence::Misses(SlotRange slots) const {
  if (rollout.LowestVersion().value() < target.version()) return rollout.Misses(slots);
  for (uint32_t slot = slots.begin; slot < slots.end; ++slot) {
    if (target.evaluate() != EVALUATION_SET_NONE && !evaluations.HasSlot(slot)) return true;
  }
  return false;
}

std::map<NodeId, std::string> StallEvidence::RoundDebtors() const {
  std::map<NodeId, std::string> debtors;
  for (const SlotAssignment& slots : rollout.view().slots()) {
    const SlotRange range{slots.slot_begin(), slots.slot_end()};
    if (Misses(range)) debtors[NodeId(slots.worker().node_id())] = absl::StrCat("slots ", range.ToString());
  }
  if (!debtors.empty()) return debtors;
  // No slot is missing, so it is the servers' turn.
  const std::vector<NodeRef> primaries = Primaries(rollout.view());
  for (size_t shard = 0; shard < primaries.size(); ++shard) {
    const Version version = rollout.VersionOf(shard);
    if (version == rollout.LowestVersion())
      debtors[NodeId(primaries[shard].node_id())] =
          absl::StrCat("progress of shard ", shard, " beyond version ", version.value());
  }
  return debtors;
}

std::map<NodeId, std::string> StallEvidence::Debtors() const {
  if (rollout.has_view() && rollout.IsInstalled()) return RoundDebtors();
  std::map<NodeId, std::string> debtors;
  if (!rollout.has_view()) {
    const char* const what = job.has_plan() ? "the answer to the job offer" : "the plan";
    for (NodeId node : NeededNodes()) debtors[node] = what;
    return debtors;
  }
  for (const NodeRef& server : Primaries(rollout.view())) {
    const NodeId node(server.node_id());
    if (!rollout.Holds(node)) debtors[node] = absl::StrCat("confirmation of view ", rollout.view().view());
  }
  return debtors;
}

std::string StallEvidence::DebtorsText() const {
  std::vector<std::string> texts;
  for (const auto& [id, what] : Debtors()) {
    const Member* const member = context.members.Find(id);
    texts.push_back(absl::StrCat(what, " from ", member == nullptr ? "a lost node" : member->name));
  }
  return texts.empty() ? "unknown" : absl::StrJoin(texts, ", ");
}

}  // namespace shoal::scheduler
