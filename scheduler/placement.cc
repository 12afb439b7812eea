#include "scheduler/placement.h"

#include <algorithm>
#include <optional>

#include "scheduler/view_roles.h"

namespace shoal::scheduler {
namespace {

using Nodes = std::vector<NodeRef>;
using Cut = std::function<bool(const NodeRef&, const NodeRef&)>;

int CountCuts(const NodeRef& node, const Nodes& others, const Cut& cut) {
  return static_cast<int>(std::count_if(others.begin(), others.end(), [&](const NodeRef& other) {
    return other.node_id() != node.node_id() && cut(node, other);
  }));
}

Nodes ReachingAll(const Nodes& nodes, const Nodes& others, const Cut& cut) {
  Nodes reaching;
  for (const NodeRef& node : nodes) {
    if (CountCuts(node, others, cut) == 0) reaching.push_back(node);
  }
  return reaching;
}

// In order, each server that is not cut off from those before it.
Nodes Together(const Nodes& servers, const Cut& cut) {
  Nodes together;
  for (const NodeRef& server : servers) {
    if (CountCuts(server, together, cut) == 0) together.push_back(server);
  }
  return together;
}

// Leaves out, one by one, the node that is cut off from the most others.
Team Largest(Nodes servers, Nodes workers, const Cut& cut) {
  while (true) {
    int worst = 0;
    Nodes* from = nullptr;
    size_t at = 0;
    for (Nodes* nodes : {&workers, &servers}) {
      for (size_t i = 0; i < nodes->size(); ++i) {
        const int cuts = CountCuts((*nodes)[i], servers, cut) +
                         (nodes == &servers ? CountCuts((*nodes)[i], workers, cut) : 0);
        if (cuts <= worst) continue;
        worst = cuts;
        from = nodes;
        at = i;
      }
    }
    if (from == nullptr) return {std::move(servers), std::move(workers)};
    from->erase(from->begin() + at);
  }
}

// A team around the worker that can reach the most servers, with all others that can join them.
Team AroundOneWorker(const Nodes& servers, const Nodes& workers, const Cut& cut) {
  Team best;
  for (const NodeRef& worker : workers) {
    Nodes reached = Together(ReachingAll(servers, {worker}, cut), cut);
    if (reached.size() <= best.servers.size()) continue;
    best.workers = ReachingAll(workers, reached, cut);
    best.servers = std::move(reached);
  }
  return best;
}

std::optional<Team> Try(const Nodes& servers, const Nodes& workers, const Nodes& current, const Cut& cut) {
  const bool usable =
      !current.empty() && std::all_of(current.begin(), current.end(),
                                      [&](const NodeRef& node) { return Contains(servers, node); });
  if (usable && Together(current, cut).size() == current.size()) {
    Team team{current, ReachingAll(workers, current, cut), /*keeps_current=*/true};
    if (!team.workers.empty()) return team;
  }
  Team team = Largest(servers, workers, cut);
  if (team.servers.empty() || team.workers.empty()) team = AroundOneWorker(servers, workers, cut);
  if (team.servers.empty() || team.workers.empty()) return std::nullopt;
  return team;
}

}  // namespace

Team ChooseTeam(const TeamRequest& request) {
  Nodes servers, workers;
  for (const NodeRef& node : request.servers) {
    if (!request.suspect(node)) servers.push_back(node);
  }
  for (const NodeRef& node : request.workers) {
    if (!request.suspect(node)) workers.push_back(node);
  }
  // If all nodes of a kind are suspect, they are used anyway.
  if (servers.empty()) servers = request.servers;
  if (workers.empty()) workers = request.workers;
  if (auto team = Try(servers, workers, request.current, request.cut)) return *std::move(team);
  if (auto team = Try(request.servers, request.workers, request.current, request.cut))
    return *std::move(team);
  if (!request.current.empty()) return {request.current, request.workers, /*keeps_current=*/true};
  return {request.servers, request.workers, /*keeps_current=*/false};
}

std::vector<SlotAssignment> AssignSlots(uint32_t slots, const std::vector<NodeRef>& workers) {
  const uint64_t n = std::min<uint64_t>(slots, workers.size());
  std::vector<SlotAssignment> assignments(n);
  for (uint64_t i = 0; i < n; ++i) {
    *assignments[i].mutable_worker() = workers[i];
    assignments[i].set_slot_begin(static_cast<uint32_t>(slots * i / n));
    assignments[i].set_slot_end(static_cast<uint32_t>(slots * (i + 1) / n));
  }
  return assignments;
}

std::vector<ShardAssignment> AssignShards(uint64_t blocks, const std::vector<NodeRef>& servers) {
  std::vector<ShardAssignment> assignments(std::min<uint64_t>(blocks, servers.size()));
  for (size_t i = 0; i < assignments.size(); ++i) *assignments[i].mutable_primary() = servers[i];
  return assignments;
}

}  // namespace shoal::scheduler
