#include "scheduler/view_planner.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/sha256.h"
#include "scheduler/placement.h"
#include "scheduler/view_roles.h"

namespace shoal::scheduler {
namespace {

using Nodes = std::vector<NodeRef>;

std::string Names(const Nodes& nodes) {
  return absl::StrJoin(nodes, ", ",
                       [](std::string* out, const NodeRef& node) { absl::StrAppend(out, node.name()); });
}

bool IsCut(const ViewInputs& inputs, const NodeRef& a, const NodeRef& b) {
  return inputs.cut.count({NodeId(a.node_id()), NodeId(b.node_id())}) > 0;
}

Nodes Usable(const ViewInputs& inputs, NodeRole role) {
  Nodes usable;
  for (const PlannedNode& node : inputs.nodes) {
    if (node.role == role && node.prepared && !node.leaving) usable.push_back(node.ref);
  }
  return usable;
}

// Returns the servers that keep their state; empty: the state must be restored.
Nodes CurrentServers(const ViewInputs& inputs, const Nodes& usable) {
  if (inputs.current->view() == 0 || inputs.restore_wanted) return {};
  Nodes servers = Primaries(*inputs.current);
  const bool there = std::all_of(servers.begin(), servers.end(),
                                 [&](const NodeRef& node) { return Contains(usable, node); });
  return there ? servers : Nodes();
}

Team ChooseNodes(const ViewInputs& inputs, const Nodes& servers, const Nodes& workers) {
  TeamRequest request;
  request.servers = servers;
  request.workers = workers;
  request.current = CurrentServers(inputs, servers);
  std::set<uint64_t> suspects;
  for (const PlannedNode& node : inputs.nodes) {
    if (node.suspect) suspects.insert(node.ref.node_id());
  }
  if (suspects.empty() && inputs.cut.empty()) {
    const bool keeps = !request.current.empty();
    return {keeps ? request.current : servers, workers, keeps};
  }
  request.suspect = [&](const NodeRef& node) { return suspects.count(node.node_id()) > 0; };
  request.cut = [&](const NodeRef& a, const NodeRef& b) { return IsCut(inputs, a, b); };
  return ChooseTeam(request);
}

bool SameNode(const NodeRef& a, const NodeRef& b) {
  return a.node_id() == b.node_id() && a.name() == b.name() && a.address() == b.address();
}

bool SameSlots(const View& a, const View& b) {
  return std::equal(a.slots().begin(), a.slots().end(), b.slots().begin(), b.slots().end(),
                    [](const SlotAssignment& one, const SlotAssignment& other) {
                      return one.slot_begin() == other.slot_begin() && one.slot_end() == other.slot_end() &&
                             SameNode(one.worker(), other.worker());
                    });
}

// Why a node that is present loses its work; "": it keeps it, is leaving, or no trouble is known.
std::string WhyLeftOut(const ViewInputs& inputs, const PlannedNode& node, const Nodes& kept) {
  if (node.leaving || Contains(kept, node.ref)) return "";
  const std::string& name = node.ref.name();
  if (!node.trouble.empty()) return absl::StrCat(name, " ", node.trouble, ": its work goes to others");
  const auto cut = std::find_if(kept.begin(), kept.end(),
                                [&](const NodeRef& other) { return IsCut(inputs, node.ref, other); });
  if (cut == kept.end()) return "";
  return absl::StrCat(name, " and ", cut->name(), " are cut off from each other: the work of ", name,
                      " goes to others");
}

std::vector<std::string> LeftOut(const ViewInputs& inputs, const View& next) {
  Nodes kept = Primaries(next), former = SlotWorkers(*inputs.current);
  for (const NodeRef& worker : SlotWorkers(next)) kept.push_back(worker);
  for (const NodeRef& server : Primaries(*inputs.current)) former.push_back(server);
  std::vector<std::string> left_out;
  for (const NodeRef& one : former) {
    const auto node = std::find_if(inputs.nodes.begin(), inputs.nodes.end(), [&](const PlannedNode& member) {
      return member.ref.node_id() == one.node_id();
    });
    std::string why = node == inputs.nodes.end() ? "" : WhyLeftOut(inputs, *node, kept);
    if (!why.empty()) left_out.push_back(std::move(why));
  }
  return left_out;
}

// Troubles of nodes that have work nevertheless.
std::string Troubles(const ViewInputs& inputs) {
  std::vector<std::string> troubles = inputs.cut_texts;
  for (const PlannedNode& node : inputs.nodes) {
    const NodeId id(node.ref.node_id());
    if (node.trouble.empty() || !(HoldsAnyShard(*inputs.current, id) || HasSlots(*inputs.current, id)))
      continue;
    troubles.push_back(absl::StrCat(node.ref.name(), " makes no progress, and nobody else can do its work"));
  }
  constexpr size_t kMaxTroubles = 8;
  if (troubles.size() > kMaxTroubles) {
    const size_t more = troubles.size() - kMaxTroubles;
    troubles.resize(kMaxTroubles);
    troubles.push_back(absl::StrCat("and ", more, " more"));
  }
  return absl::StrJoin(troubles, "; ");
}

ViewPlan Waiting(const char* role) {
  ViewPlan plan;
  plan.reason = absl::StrCat("waits for a ", role);
  return plan;
}

// A view on the current servers, from the current restore point.
ViewPlan KeepServers(const ViewInputs& inputs, View next) {
  const View& current = *inputs.current;
  *next.mutable_shards() = current.shards();
  *next.mutable_restore() = current.restore();
  ViewPlan plan;
  plan.placed = true;
  plan.reason = Troubles(inputs);
  if (!inputs.renew_wanted && SameSlots(next, current)) return plan;
  plan.left_out = LeftOut(inputs, next);
  plan.next = std::move(next);
  return plan;
}

ViewPlan Restore(const ViewInputs& inputs, const Nodes& servers, View next) {
  const auto& groups = inputs.job->plan().group_sizes();
  const uint64_t blocks =
      CutBlocks(std::vector<uint64_t>(groups.begin(), groups.end()), inputs.max_block_elements).size();
  for (ShardAssignment& shard : AssignShards(blocks, servers)) *next.add_shards() = std::move(shard);
  *next.mutable_restore() = inputs.restore;
  ViewPlan plan;
  plan.placed = plan.restores = true;
  plan.left_out = LeftOut(inputs, next);
  plan.next = std::move(next);
  return plan;
}

}  // namespace

ViewPlan PlanView(const ViewInputs& inputs) {
  const Nodes servers = Usable(inputs, NODE_ROLE_SERVER), workers = Usable(inputs, NODE_ROLE_WORKER);
  if (workers.empty()) return Waiting("worker");
  const Team team = ChooseNodes(inputs, servers, workers);
  View next;
  next.set_job(inputs.job->job());
  next.set_view(inputs.current->view() + 1);
  next.set_training_id(inputs.training.value());
  for (SlotAssignment& slots : AssignSlots(inputs.job->spec().train().slots(), team.workers))
    *next.add_slots() = std::move(slots);
  if (team.keeps_current) return KeepServers(inputs, std::move(next));
  if (servers.empty()) return Waiting("server");
  return Restore(inputs, team.servers, std::move(next));
}

// Another cluster has another id, and after the store was lost or replaced by an older copy, the first view
// comes at another time. So there is no need to draw a random number and store it before use.
TrainingId NewTrainingId(const JobDefinition& job, TrainingId former, absl::Time now) {
  Sha256 sha256;
  sha256.Add(absl::StrCat(job.cluster_id(), "/", job.job(), "/", job.submitted_unix_ms(), "/",
                          absl::ToUnixNanos(now), "/", former.value()));
  const Sha256Digest digest = sha256.Digest();
  uint64_t id = 0;
  for (int i = 0; i < 8; ++i) id = id << 8 | digest[i];
  return TrainingId(std::max<uint64_t>(id, 1));
}

std::string ViewText(const View& view, bool restores) {
  const std::string text = absl::StrCat("view ", view.view(), ": shards on ", Names(Primaries(view)),
                                        "; slots on ", Names(SlotWorkers(view)));
  if (!restores) return text;
  const RestorePoint& restore = view.restore();
  return absl::StrCat(text, view.view() == 1 ? "; starts from " : "; goes back to ",
                      restore.checkpoint().empty()
                          ? "the initial parameters"
                          : absl::StrCat("the checkpoint of version ", restore.version()));
}

}  // namespace shoal::scheduler
