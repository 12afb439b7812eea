#include "scheduler/placement.h"

#include <set>
#include <utility>

#include "catch2/catch.hpp"

namespace shoal::scheduler {
namespace {

std::vector<NodeRef> Nodes(const std::vector<uint64_t>& ids) {
  std::vector<NodeRef> nodes(ids.size());
  for (size_t i = 0; i < ids.size(); ++i) nodes[i].set_node_id(ids[i]);
  return nodes;
}

std::vector<uint64_t> Ids(const std::vector<NodeRef>& nodes) {
  std::vector<uint64_t> ids;
  for (const NodeRef& node : nodes) ids.push_back(node.node_id());
  return ids;
}

using Cuts = std::set<std::pair<uint64_t, uint64_t>>;
using Numbers = std::vector<uint64_t>;

// Servers have numbers below 10, workers 10 and above.
Team Choose(const Numbers& servers, const Numbers& workers, const Numbers& current, const Cuts& cuts,
            const std::set<uint64_t>& suspects = {}) {
  TeamRequest request;
  request.servers = Nodes(servers);
  request.workers = Nodes(workers);
  request.current = Nodes(current);
  request.suspect = [&](const NodeRef& node) { return suspects.count(node.node_id()) > 0; };
  request.cut = [&](const NodeRef& a, const NodeRef& b) {
    return cuts.count({a.node_id(), b.node_id()}) > 0 || cuts.count({b.node_id(), a.node_id()}) > 0;
  };
  return ChooseTeam(request);
}

TEST_CASE("When nothing is wrong all workers work, and the servers stay") {
  Team team = Choose({1, 2, 3}, {10, 11}, {1, 2}, {});
  CHECK(team.keeps_current);
  CHECK(Ids(team.servers) == Numbers{1, 2});
  CHECK(Ids(team.workers) == Numbers{10, 11});
  team = Choose({1, 2}, {10}, {}, {});
  CHECK_FALSE(team.keeps_current);
  CHECK(Ids(team.servers) == Numbers{1, 2});
}

TEST_CASE("A worker that can't reach a server is left out, when another can") {
  const Team team = Choose({1, 2}, {10, 11}, {1, 2}, {{10, 2}});
  CHECK(team.keeps_current);
  CHECK(Ids(team.workers) == Numbers{11});
}

TEST_CASE("A server that no worker can reach is left out") {
  const Team team = Choose({1, 2}, {10, 11}, {1, 2}, {{10, 2}, {11, 2}});
  CHECK_FALSE(team.keeps_current);
  CHECK(Ids(team.servers) == Numbers{1});
  CHECK(Ids(team.workers) == Numbers{10, 11});
}

TEST_CASE("Of two servers that can't reach each other one is left out") {
  const Team team = Choose({1, 2, 3}, {10}, {1, 2}, {{1, 2}});
  CHECK_FALSE(team.keeps_current);
  CHECK(team.servers.size() == 2);
  CHECK_FALSE(Ids(team.servers) == Numbers{1, 2});
}

TEST_CASE("A suspect does no work when others can, and goes on when nobody else can") {
  CHECK(Ids(Choose({1}, {10, 11}, {1}, {}, {10}).workers) == Numbers{11});
  CHECK(Ids(Choose({1, 2}, {10}, {1}, {}, {1}).servers) == Numbers{2});
  const Team alone = Choose({1}, {10}, {1}, {}, {1, 10});
  CHECK(alone.keeps_current);
  CHECK(Ids(alone.workers) == Numbers{10});
}

TEST_CASE("If any assignment avoids the nodes that are cut off, one is found") {
  // All networks of three servers and three workers, in which each worker reaches each server or not.
  for (unsigned bits = 0; bits < 512; ++bits) {
    Cuts cuts;
    for (uint64_t i = 0; i < 9; ++i) {
      if (bits >> i & 1) cuts.insert({10 + i / 3, 1 + i % 3});
    }
    if (bits % 3 == 0) cuts.insert({1, 2});
    const Team team = Choose({1, 2, 3}, {10, 11, 12}, {1, 2, 3}, cuts);
    REQUIRE_FALSE(team.servers.empty());
    REQUIRE_FALSE(team.workers.empty());
    int bad = 0;
    for (const auto& [a, b] : cuts) {
      const std::vector<NodeRef> servers = team.servers, workers = team.workers;
      const auto holds = [&](uint64_t id) {
        for (uint64_t one : Ids(servers))
          if (one == id) return true;
        for (uint64_t one : Ids(workers))
          if (one == id) return true;
        return false;
      };
      bad += holds(a) && holds(b);
    }
    INFO("cuts " << bits);
    CHECK((bad == 0) == (bits != 511));
  }
}

}  // namespace
}  // namespace shoal::scheduler
